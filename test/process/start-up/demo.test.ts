import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from './free-port.js'
import { isAlive, run } from './tiny-project.js'

const SCRIPT = join(import.meta.dirname, '../../../start-up.sh')

/** Runs the demo to its last line, then ends it. Gives the ids of the processes that it had, too. */
async function demo (env: NodeJS.ProcessEnv) {
  const pids: number[] = []
  const ended = await run(SCRIPT, ['--demo'], {
    cwd: '/',
    env,
    onOutput: (stdout, script) => {
      if (pids.length > 0 || !/Ctrl-C ends/.test(stdout)) return
      const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(script.pid)], { encoding: 'utf8' })
      pids.push(...children.trim().split(/\s+/).map(Number))
      script.kill('SIGTERM')
    }
  })
  return { ...ended, pids }
}

t.test('the demo deploys the example to a simulated cluster, with its data kept also a second time', async t => {
  const env = { MY_PORT: await freePort(), DATA_DIR: join(t.testdir(), 'data'), LOG_LEVEL: '' }
  const first = await demo(env)
  t.match(first.stdout, /Cluster hpi is active, with vm-20211019-009, vm-20211019-010, vm-20211019-011/)
  t.match(first.stdout, /Deployed examples\/deploy\.yaml as demo\.default\.service1\.test, job [0-9a-f]{24}/)
  for (const status of ['CLUSTER_SCHEDULED', 'NODE_SCHEDULED', 'CREATED', 'DEPLOYED', 'RUNNING']) {
    t.match(first.stdout, new RegExp(`^ {2}\\d\\d:\\d\\d:\\d\\d\\.\\d{3} {2}${status} `, 'm'))
  }
  t.match(first.stdout, /demo\.default\.service1\.test is RUNNING/)
  t.match(first.stdout, /service \(RR\) +172\.30\.\d+\.\d+/)
  t.match(first.stdout, /instance 0 +172\.30\.\d+\.\d+ +on cluster hpi, host 192\.168\.\d+\.\d+:50000/)
  t.match(first.stdout, `curl http://localhost:${env.MY_PORT}/api/jobs`)
  t.equal(first.code, 0)
  t.equal(first.pids.length, 2, 'a server and a demo')
  t.notOk(first.pids.some(isAlive), 'no process is left')

  const second = await demo(env)
  t.match(second.stdout, /demo\.default\.service1\.test is RUNNING/)
  t.equal(/job ([0-9a-f]{24})/.exec(second.stdout)?.[1], /job ([0-9a-f]{24})/.exec(first.stdout)?.[1], 'it is the same job')
  t.equal(second.code, 0)
  t.notOk(second.pids.some(isAlive))
})
