import t from 'tap'
import type { Job } from '../../../schemas/job.js'
import type { Status } from '../../../schemas/status.js'
import { asYaml, yamlDescriptor } from '../../support/descriptor.js'
import { eventually } from '../../support/waiting.js'
import { aJob, anInstance, saved } from '../stores/samples.js'
import { silentFor, startOrchestrator } from './over-http.js'

/** A job in the store that the embedded scheduler cannot decide on. */
const undecidable = (instance: Parameters<typeof anInstance>[1], fields: Partial<Job> = {}) => {
  const job = aJob(fields)
  return { ...job, descriptor: { ...job.descriptor, requirements: { cpu: -1 } }, instance_list: [anInstance(0, instance)] }
}

const verdict = (status: Status) => ({ status, status_since: new Date().toISOString() })

t.test('a plan goes by CLUSTER_GRACE_S, and the reasons for a verdict of the Cloud Scheduler by its own 30 s', async t => {
  const { server, scheduler, until } = await startOrchestrator(t, { SCHEDULER_CALLBACK_S: 3600, CLUSTER_GRACE_S: 3600 })
  scheduler.behave(() => {})
  const hpi = await silentFor(server, 1800)
  const plan = await (await server.fetch('/api/v1/jobs/plan', asYaml(yamlDescriptor()))).json()
  t.match(plan, { scheduler: 'cloud', services: [{ instances: { placed: [{ instance_number: 0, cluster_id: hpi }] } }] })

  const job = aJob()
  await saved(server.store, { ...job, status: 'NoActiveClusterWithCapacity', instance_list: [anInstance(0, verdict('NoActiveClusterWithCapacity'))] })
  t.match(await until(job.id, /found no place/), {
    status_reason: /^the Cloud Scheduler found no place: hpi: silent since 20/
  })
})

t.test('with a CLUSTER_GRACE_S below 30 s, that one counts for the reasons too', async t => {
  const { server, scheduler, until } = await startOrchestrator(t, { CLUSTER_GRACE_S: 10 })
  scheduler.behave(() => {})
  await silentFor(server, 20)
  const job = aJob()
  await saved(server.store, { ...job, status: 'NoActiveClusterWithCapacity', instance_list: [anInstance(0, verdict('NoActiveClusterWithCapacity'))] })
  t.match(await until(job.id, /found no place/), { status_reason: /: hpi: silent since 20/ })
})

t.test('a verdict for which the figures here provide no reason is shown without one, and the others with theirs', async t => {
  const { server, scheduler, until } = await startOrchestrator(t)
  scheduler.behave(() => {})
  const bad = await saved(server.store, undecidable(verdict('TargetClusterNoCapacity'), { status: 'TargetClusterNoCapacity' }))
  const good = aJob()
  await saved(server.store, { ...good, status: 'NoActiveClusterWithCapacity', instance_list: [anInstance(0, verdict('NoActiveClusterWithCapacity'))] })
  t.match(await until(good.id, /found no place/), { status_reason: 'the Cloud Scheduler found no place: no cluster is registered' })
  t.match(await until(bad.id, /found no place/), { status: 'TargetClusterNoCapacity', status_reason: 'the Cloud Scheduler found no place', explanation: { outcome: 'unplaceable', clusters: [], omitted: 0 } })
  await eventually(async () => scheduler.asked.map(({ body }) => body.system_job_id), ids => [good.id, bad.id].every(id => ids.includes(id)))
})

t.test('a move that cannot be decided on costs other moves nothing, and leaves its job as it is', async t => {
  const { server, scheduler, cluster, job } = await startOrchestrator(t)
  const hpi = await cluster('hpi')
  const bad = await saved(server.store, undecidable({ location: '' }))
  const good = aJob()
  await saved(server.store, { ...good, instance_list: [anInstance(0, { location: '' })] })
  const placed = await eventually(() => job(good.id), ({ status }) => status === 'CLUSTER_SCHEDULED')
  t.match(placed.instance_list, [{ cluster_id: hpi.id }])
  // A later one, for which a whole pass over all three has to be made.
  const later = aJob()
  await saved(server.store, { ...later, instance_list: [anInstance(0, { location: '' })] })
  await eventually(() => job(later.id), ({ status }) => status === 'CLUSTER_SCHEDULED')
  t.equal((await job(bad.id)).revision, bad.revision)
  t.same(scheduler.asked, [], 'what moves is no question for the Cloud Scheduler')
})

t.test('with the fallback, a job that cannot be decided on costs the others nothing while the Cloud Scheduler is away', async t => {
  const { server, scheduler, cluster, deploy, until, job } = await startOrchestrator(t, { SCHEDULER_FALLBACK: 'embedded' })
  await cluster('hpi')
  await scheduler.stop()
  const bad = await saved(server.store, undecidable({}))
  for (const name of ['a', 'b', 'c', 'd', 'e']) await until(await deploy(name), 'CLUSTER_SCHEDULED')
  t.match(await job(bad.id), { status: 'REQUESTED', instance_list: [{ cluster_id: '' }] })
})
