import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startChannel } from '../channel/channel-server.js'

const SCRIPT = fileURLToPath(new URL('./python/cluster_manager.py', import.meta.url))

/** Runs a cluster manager of python-socketio to its end; gives what happened, in order. scripts/prepare.sh installs it. */
async function runPython (t: Test, engineIo: 'eio3' | 'eio4', url: string, cs1: unknown): Promise<Array<{ what: string, data: any }>> {
  const child = spawn('python3', [SCRIPT, url, JSON.stringify(cs1)], {
    env: { PATH: process.env.PATH, PYTHONPATH: fileURLToPath(new URL(`../../../.python/${engineIo}`, import.meta.url)) },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let errors = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  child.stderr.on('data', chunk => { errors += String(chunk) })
  const code = await new Promise(resolve => child.on('close', resolve))
  if (code !== 0) throw new Error(`the Python client ended with ${code}: ${errors}`)
  return output.trim().split('\n').map(line => JSON.parse(line))
}

for (const engineIo of ['eio4', 'eio3'] as const) {
  t.test(`python-socketio with ${engineIo} in long polling registers, leaves, and keeps its id`, async t => {
    const server = await startChannel(t)
    const { port } = server
    const url = `http://127.0.0.1:${port}`
    const cs1 = { manager_port: 10100, network_component_port: 10110, cluster_name: 'hpi', cluster_info: { gpu: true }, cluster_location: 'potsdam' }
    const seen = await runPython(t, engineIo, url, cs1)
    const came = (what: string) => seen.filter(line => line.what === what).map(line => line.data)
    t.same(came('transport'), ['polling'])
    t.strictSame(came('sc1'), [{ 'Hello-Cluster_Manager': 'please send your cluster info' }])
    const [id] = came('id')
    t.strictSame(came('sc2'), [`{"id":"${id}"}`])
    t.match(id, /^[0-9a-f]{24}$/)
    t.same(came('error'), [])
    t.match(await server.cluster(id), { cluster_name: 'hpi', ip: '127.0.0.1', port: 10100, network_component_port: 10110, clusterinfo: { gpu: true }, cluster_location: 'potsdam', connected: false })

    const again = await runPython(t, engineIo, url, { ...cs1, cluster_location: null })
    t.ok(again.some(({ what, data }) => what === 'id' && data === id))
    t.equal((await server.cluster(id)).cluster_location, null)
  })

  t.test(`a bad cs1 of python-socketio with ${engineIo} is answered with the reason, and the client ends`, async t => {
    const { port } = await startChannel(t)
    const seen = await runPython(t, engineIo, `http://127.0.0.1:${port}`, { cluster_name: 'hpi', manager_port: 'eighty' })
    t.match(seen.find(({ what }) => what === 'error'), { data: { code: 'data_invalid', message: /^data\.manager_port: expected/, event: 'cs1' } })
    t.ok(seen.some(({ what }) => what === 'disconnect'))
  })
}
