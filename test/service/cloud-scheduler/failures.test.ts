import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { callBack } from '../../support/fake-scheduler.js'
import { eventually } from '../../support/waiting.js'
import { startOrchestrator, type Orchestrator } from './over-http.js'

const metric = async ({ server }: Orchestrator, line: string): Promise<number> =>
  Number(new RegExp(`^${line.replaceAll(/[{}]/g, '\\$&')} (.*)$`, 'm').exec(await server.text('/metrics'))?.[1])

/** What has nothing to do with placement is answered as ever. */
async function othersGoOn (t: Test, { server, cluster }: Orchestrator): Promise<void> {
  t.equal(await server.text('/status'), 'ok')
  t.ok((await cluster('other')).id)
  t.equal((await server.fetch('/api/jobs')).status, 200)
}

t.test('a job whose callback does not come in time is asked about again, and shows it', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t, { SCHEDULER_CALLBACK_S: 1 })
  const hpi = await cluster('hpi')
  const began = Date.now()
  const id = await deploy()
  await scheduler.take()
  await scheduler.take()
  t.ok(Date.now() - began >= 1000, 'not before the deadline')
  t.match(await until(id, /asking again/), { status: 'REQUESTED', status_reason: /^the Cloud Scheduler has not called back within \d+ s; asking again$/ })
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test('a question that fails for a moment is retried at once', async t => {
  const { server, scheduler, deploy, until, cluster } = await startOrchestrator(t, { PLACEMENT_RETRY_S: 3600 })
  const hpi = await cluster('hpi')
  let failures = 2
  scheduler.behave((_request, response) => { response.writeHead(failures-- > 0 ? 503 : 200).end() })
  const id = await deploy()
  for (let i = 0; i < 3; i++) t.match(await scheduler.take(), { body: { system_job_id: id } })
  await until(id, /waiting for the answer/)
  await callBack(server.url, { job_id: id, cluster_id: hpi.id })
  await until(id, 'CLUSTER_SCHEDULED')
})

t.test('a dead scheduler shows on the job and opens the breaker; once it is back, everything continues', async t => {
  const orchestrator = await startOrchestrator(t)
  const { server, scheduler, deploy, until, cluster } = orchestrator
  const hpi = await cluster('hpi', { cpu_cores: 100 })
  await scheduler.stop()
  const ids = await Promise.all(['a', 'b', 'c'].map(name => deploy(name)))
  t.match(await until(ids[0]!, /does not answer/), { status: 'REQUESTED', status_reason: /^the Cloud Scheduler does not answer: connect ECONNREFUSED 127\.0\.0\.1:\d+; retrying$/ })
  await eventually(() => metric(orchestrator, 'edgeio_scheduler_breaker_state{state="open"}'), open => open === 1)
  t.ok(await metric(orchestrator, 'edgeio_scheduler_requests_total{result="down"}') >= 5)
  const test = await server.fetch('/api/test/scheduler')
  t.equal(test.status, 503)
  t.match(await test.text(), /^scheduler_unavailable: The Cloud Scheduler at http:\/\/127\.0\.0\.1:\d+ does not answer: connect ECONNREFUSED/)
  await othersGoOn(t, orchestrator)

  await scheduler.start()
  for (let i = 0; i < ids.length; i++) {
    const { body } = await scheduler.take()
    await callBack(server.url, { job_id: body.system_job_id, cluster_id: hpi.id })
  }
  for (const id of ids) await until(id, 'CLUSTER_SCHEDULED')
  t.equal(await metric(orchestrator, 'edgeio_scheduler_breaker_state{state="closed"}'), 1)
  t.equal(await server.text('/api/test/scheduler'), `the Cloud Scheduler at http://127.0.0.1:${scheduler.config.CLOUD_SCHEDULER_PORT} answers\n`)
})

t.test('while the breaker is open no questions are sent; a probe that fails leaves it open', async t => {
  const orchestrator = await startOrchestrator(t)
  const { scheduler, deploy, until } = orchestrator
  let probes = 0
  scheduler.behave((request, response) => {
    if (request.url === '/status') probes++
    response.writeHead(500).end()
  })
  const ids = await Promise.all(Array.from({ length: 8 }, (_, i) => deploy(`s${i}`)))
  await eventually(() => metric(orchestrator, 'edgeio_scheduler_breaker_state{state="open"}'), open => open === 1)
  // No question is on its way any more once all of them have failed.
  for (const id of ids) await until(id, /does not answer/)
  const [asked, probed] = [scheduler.asked.length, probes]
  await eventually(async () => probes, count => count >= probed + 3)
  t.equal(scheduler.asked.length, asked)
  t.match(await until(ids[7]!, /does not answer/), { status_reason: 'the Cloud Scheduler does not answer: it answered 500; retrying' })
  scheduler.behave(undefined)
  await until(ids[7]!, /waiting for the answer/)
})

t.test('a scheduler that does not answer in time shows on the job', async t => {
  const { scheduler, deploy, until } = await startOrchestrator(t, { SCHEDULER_TIMEOUT_S: 0.2 })
  scheduler.behave(() => {})
  t.match(await until(await deploy(), /does not answer/), { status_reason: 'the Cloud Scheduler does not answer: no answer within 0.2 s; retrying' })
})

t.test('a scheduler that hangs for ever holds up nothing but placement', async t => {
  const orchestrator = await startOrchestrator(t, { SCHEDULER_TIMEOUT_S: 300 })
  const { server, scheduler, deploy, until } = orchestrator
  scheduler.behave(() => {})
  const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => deploy(`s${i}`)))
  await eventually(async () => scheduler.asked.length, count => count === 16)
  await othersGoOn(t, orchestrator)
  const undeployed = await server.fetch(`/api/delete/${ids[1]}`)
  t.equal(undeployed.status, 200)
  await until(ids[1]!, 'UNDEPLOYED')
})

t.test('the test answers in time, however long a question may take', async t => {
  const { server, scheduler } = await startOrchestrator(t, { SCHEDULER_TIMEOUT_S: 300 })
  scheduler.behave(() => {})
  const answer = await server.fetch('/api/test/scheduler')
  t.equal(answer.status, 503)
  t.match(await answer.text(), /does not answer: no answer within 1\.5 s/)
})

t.test('an endless answer is cut off, and counts as an answer', async t => {
  const orchestrator = await startOrchestrator(t)
  const { scheduler, deploy } = orchestrator
  const cutOff = new Promise(resolve => scheduler.behave((_request, response) => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const write = () => { while (!response.destroyed && response.write(chunk)); }
    response.on('drain', write)
    response.on('close', resolve)
    write()
  }))
  await deploy()
  await cutOff
  await eventually(() => metric(orchestrator, 'edgeio_scheduler_pending_questions'), pending => pending === 1)
  t.equal(await metric(orchestrator, 'edgeio_scheduler_requests_total{result="down"}'), 0, 'the question is accepted all the same')
})

t.test('a peer that speaks no HTTP, and one that redirects, show on the job', async t => {
  const garbage = createServer(socket => {
    socket.on('error', () => {})
    socket.end('\u0000\u0001 this is not HTTP\r\n\r\n')
  })
  garbage.listen(0, '127.0.0.1')
  await once(garbage, 'listening')
  t.teardown(() => garbage.close())
  const orchestrator = await startOrchestrator(t, { CLOUD_SCHEDULER_PORT: (garbage.address() as AddressInfo).port })
  await othersGoOn(t, orchestrator)
  await orchestrator.until(await orchestrator.deploy(), /does not answer: it does not speak HTTP; retrying/)

  const redirecting = await startOrchestrator(t)
  redirecting.scheduler.behave((_request, response) => { response.writeHead(302, { location: 'http://169.254.169.254/' }).end() })
  await redirecting.until(await redirecting.deploy(), /does not accept the question: it answered 302; retrying/)
})
