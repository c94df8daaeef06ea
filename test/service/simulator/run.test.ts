import t from 'tap'
import { spawnProgram } from '../../support/program.js'
import { startSystemManager } from './system-manager.js'

function start (args: string[]) {
  const child = spawnProgram(import.meta.resolve('../../../simulator/run.js'), args)
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => { output.stdout += text })
  child.stderr.setEncoding('utf8').on('data', text => { output.stderr += text })
  const ended = new Promise<{ code: number | null, stdout: string, stderr: string }>(resolve => child.on('close', code => resolve({ code, ...output })))
  return { child, ended }
}

t.test('--help lists the options', async t => {
  t.match(await start(['--help']).ended, { code: 0, stdout: /--clusters N/, stderr: '' })
})

t.test('an option that cannot be used is named', async t => {
  for (const args of [['--workers', 'many'], ['--url', 'localhost:10000'], ['--frobnicate'], ['--clusters', '2', '--state', 'file']]) {
    const { code, stdout, stderr } = await start(args).ended
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, 'simulator: ')
    t.ok(stderr.includes(args[0]!) || stderr.includes('--state'), stderr)
  }
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`many clusters register under names of their own and leave politely on ${signal}`, async t => {
    const manager = await startSystemManager()
    t.teardown(() => manager.close())
    const { child, ended } = start(['--url', manager.url, '--cluster', 'edge', '--location', 'berlin', '--clusters', '3', '--workers', '2'])
    // On a busy machine they do not register in the order in which they are started.
    const connections = [await manager.registration(), await manager.registration(), await manager.registration()]
      .toSorted((one, other) => one.cs1.cluster_name.localeCompare(other.cs1.cluster_name))
    t.strictSame(connections.map(({ cs1 }) => [cs1.cluster_name, cs1.cluster_location]), [['edge-1', 'berlin'], ['edge-2', 'berlin'], ['edge-3', 'berlin']])
    t.match(await connections[0]!.next('information'), { workers: [{ name: 'edge-1-worker-1' }, { name: 'edge-1-worker-2' }] })
    const closes = connections.map(connection => connection.closed())
    child.kill(signal)
    t.strictSame(await Promise.all(closes), [1000, 1000, 1000])
    t.match(await ended, { code: 0, stderr: '' })
  })
}
