import fc from 'fast-check'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import app, { serverOptions } from '../../../app.js'
import type { Heartbeat } from '../../../schemas/cluster.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Job } from '../../../schemas/job.js'
import type { Plan, ServicePlan } from '../../../schemas/plan.js'
import { ROOMY } from '../../support/raw-cluster.js'
import { eventually } from '../../support/waiting.js'
import { sampleDescriptor } from '../../unit/state-machine/sample.js'
import { USER } from '../../support/user.js'

const aDescriptor = (name: string): fc.Arbitrary<Descriptor> => fc.record({
  image: fc.constantFrom('nginx:1', 'nginx:2'),
  replicas: fc.integer({ min: 0, max: 4 }),
  cluster_location: fc.constantFrom('c0', 'c1', 'nowhere'),
  placement: fc.constantFrom('spread' as const, 'pack' as const),
  rollout: fc.constantFrom({ max_unavailable: 2 }, { max_surge: 2 }),
  requirements: fc.record({ cpu: fc.constantFrom(0, 0.5, 1, 2), memory: fc.constantFrom(0, 100) }, { noNullPrototype: true })
}, { requiredKeys: ['image'], noNullPrototype: true }).map(more => sampleDescriptor({ service_name: name, ...more }))

const aFile = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }).chain(names => fc.tuple(...names.map(aDescriptor)))
const someClusters = fc.array(fc.record({ cpu_cores: fc.constantFrom(0, 1, 2.5, 8), technology: fc.constantFrom<string[][]>(['docker'], ['docker'], ['unikernel']) }), { maxLength: 3 })

const onClusters = (job: Job | undefined) => (job?.instance_list ?? []).filter(entry => entry.cluster_id !== '').map(entry => `${entry.instance_number} on ${entry.cluster_id}`)
const sorted = <T>(list: Iterable<T>) => [...list].sort()

/** What a plan says of a service, as far as it shows in the job afterwards. */
function said ({ instances: { placed, moved, removed, waiting } }: ServicePlan) {
  const targets = moved.flatMap(({ instance_number: n, to }) => to ? [`${n} on ${to.cluster_id}`] : [])
  return {
    came: sorted([...placed.map(({ instance_number: n, cluster_id: id }) => `${n} on ${id}`), ...targets]),
    removed: sorted(removed.map(({ instance_number: n, cluster_id: id }) => `${n} on ${id}`)),
    waiting: sorted(waiting)
  }
}

/** The same, from the job before and after. */
function done (before: Job | undefined, after: Job) {
  const had = onClusters(before)
  const numbers = new Set(after.instance_list.map(entry => entry.instance_number))
  return {
    came: sorted(onClusters(after).filter(place => !had.includes(place))),
    removed: sorted(had.filter(place => !numbers.has(parseInt(place)))),
    waiting: sorted(after.instance_list.filter(entry => entry.cluster_id === '').map(entry => entry.instance_number))
  }
}

t.test('a deploy right after a plan does what the plan shows, on random clusters, for new and for running services', async t => {
  const server = Fastify(serverOptions)
  // Only deploys wake the placement, and nothing else happens between a plan and its deploy.
  await server.register(fp(app), { config: { DATA_DIR: t.testdir(), PLACEMENT_RETRY_S: 3600 }, env: {} })
  await server.ready()
  t.teardown(() => server.close())
  const { jobLifecycle: lifecycle, clusterRegistry: registry } = server

  const jobs = async (file: Descriptor[]) => (await Promise.all(file.map(({ service_name: name }) => lifecycle.jobs.list({ job_name: `demo.default.${name}.test`, undeployed: false })))).map(([job]) => job)

  async function check (file: Descriptor[]): Promise<void> {
    const before = await jobs(file)
    const plan: Omit<Plan, 'warnings'> = await lifecycle.planner.plan(file, 'user')
    const deployed = await lifecycle.jobs.deploy(file, USER)
    const outcomes = { created: 'create', updated: 'update', unchanged: 'unchanged' }
    if (deployed.some(({ outcome }, n) => outcomes[outcome] !== plan.services[n]!.outcome)) throw new Error('another outcome')
    const expected = JSON.stringify(plan.services.map(said))
    const look = async () => JSON.stringify((await jobs(file)).map((job, n) => done(before[n], job!)))
    await eventually(look, seen => seen === expected, 15_000).catch(err => { throw new Error(`the plan said ${expected}: ${err.message}`) })
    for (const [n, job] of (await jobs(file)).entries()) {
      const renewed = plan.services[n]!.instances.renewed.map(entry => `${entry.instance_number} on ${entry.cluster_id}`)
      // What comes to a cluster beside others awaits its word too.
      const told = job!.instance_list.filter(entry => entry.awaits !== null && entry.cluster_id !== '').map(entry => `${entry.instance_number} on ${entry.cluster_id}`)
        .filter(place => onClusters(before[n]).includes(place))
      if (before[n]?.rollout === null && told.some(place => !renewed.includes(place))) throw new Error(`${told.join()} were told, ${renewed.join()} planned`)
    }
  }

  /** The clusters take what they were told, and report it as running or not at all. */
  async function settle (clusterIds: string[], figures: Heartbeat[], runs: boolean): Promise<void> {
    for (const [n, id] of clusterIds.entries()) {
      const { last } = await server.store.outbox.position(id)
      const acknowledged = await server.store.outbox.pending(id, { after: 0, limit: 1000 })
      await lifecycle.reports.take(id, [{ acknowledged }])
      await server.store.outbox.ack(id, last)
      const on = (await lifecycle.reports.desiredOn(id))!
      await lifecycle.reports.heartbeat(id, { ...figures[n], jobs: runs ? on.map(job => ({ system_job_id: job.id, status: 'RUNNING' })) : [] })
    }
  }

  /** News of clusters wake the placement: what waits is asked about once more before the next plan, together with this one. */
  async function placementPassed (): Promise<void> {
    const [canary] = await lifecycle.jobs.deploy(
      [sampleDescriptor({ service_name: 'canary', cluster_location: 'canary' })],
      USER
    )
    await eventually(() => lifecycle.jobs.find(canary!.job.id), job => onClusters(job).length === 1)
  }

  await fc.assert(fc.asyncProperty(someClusters, aFile, aFile, fc.boolean(), async (clusters, first, second, runs) => {
    const figures: Heartbeat[] = clusters.map(more => ({ ...ROOMY, ...more }))
    const ids: string[] = []
    for (const [n, heartbeat] of [...figures.entries(), ['canary', ROOMY] as const]) {
      const { id } = await registry.register({ cluster_name: n === 'canary' ? n : `c${n}` }, '127.0.0.1', 'channel')
      await lifecycle.reports.heartbeat(id, heartbeat)
      ids.push(id)
    }
    await check(first)
    await settle(ids, [...figures, ROOMY], runs)
    await placementPassed()
    await check(second)
    for (const { id } of await lifecycle.jobs.list({ undeployed: false })) await lifecycle.jobs.undeploy(id, USER)
    for (const id of ids) await lifecycle.clusters.remove(id, { force: true, by: USER })
  }), { numRuns: 30, endOnFailure: true })
  t.pass('they all did')
})
