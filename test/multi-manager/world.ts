import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import type { Test } from 'tap'
import { startDatabase } from '../support/database.js'
import { asYaml, yamlDescriptor } from '../support/descriptor.js'
import { startServerProcess, type ServerProcess } from '../support/server-process.js'
import { ROOMY } from '../support/raw-cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { rawMongo } from '../service/stores/mongo-store.js'

/** Several System Managers, each a process of its own, on one database (the emulator). */
export interface Several {
  /** The first of them came first, and leads. */
  servers: ServerProcess[]
  uri: string
  /** Who holds a lease that has not expired. */
  holder (lease: string): Promise<ServerProcess | undefined>
  /** Whether one holds the lease that says so of its process. */
  lives (server: ServerProcess): Promise<boolean>
  /** A further one, with settings of its own. */
  add (env?: Record<string, string>): Promise<ServerProcess>
}

/** Short, but no shorter than a process that lives needs to prolong it here and now. */
const LEASE_S = String(patience(3))

/** @param first Settings of the first alone, for instance another way to the database. */
export async function startSeveral (t: Test, count: number, { changeStreams = false, env = {}, first }: { changeStreams?: boolean, env?: Record<string, string>, first?: (t: Test, uri: string) => Promise<Record<string, string>> } = {}): Promise<Several> {
  const uri = await startDatabase(t, { changeStreams })
  const { leases } = await rawMongo(t, uri)
  const servers: ServerProcess[] = []
  const several: Several = {
    servers,
    uri,
    async holder (lease) {
      const held = await leases.findOne({ _id: lease, expires_at: { $gt: new Date() } })
      return servers.find(({ child }) => held?.holder?.includes(`-${child.pid}-`))
    },
    async lives ({ child }) {
      return await leases.findOne({ _id: { $regex: `^process/.*-${child.pid}-` }, expires_at: { $gt: new Date() } }) !== null
    },
    async add (more = {}) {
      const server = await startServerProcess(t, { LOG_LEVEL: 'info', MONGO_URI: uri, PLACEMENT_RETRY_S: '1', LEASE_S, ...env, ...more })
      servers.push(server)
      return server
    }
  }
  await several.add(await first?.(t, uri))
  for (const lease of ['reconciler', 'http-push']) await eventually(() => several.holder(lease), holder => holder !== undefined)
  await Promise.all(Array.from({ length: count - 1 }, () => several.add()))
  return several
}

/** Asks as a client does that comes again after a 503: on a busy machine the database may not answer in time. */
async function ask (server: ServerProcess, path: string, init?: RequestInit): Promise<Response> {
  return await eventually(() => fetch(server.url + path, init), ({ status }) => status !== 503)
}

/** Body of a GET as JSON. */
export async function get (server: ServerProcess, path: string): Promise<any> {
  return await (await ask(server, path)).json()
}

export async function post (server: ServerProcess, path: string, body: object): Promise<Response> {
  return await ask(server, path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

/** Gives the id of the job. */
export async function deploy (server: ServerProcess, name: string, more = ''): Promise<string> {
  const answer = await ask(server, '/api/deploy', asYaml(yamlDescriptor(name, more)))
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
  return (await answer.json() as { job_id: string }).job_id
}

export async function undeploy (server: ServerProcess, job: string): Promise<void> {
  await ask(server, `/api/delete/${job}`)
}

export interface Gate {
  port: number
  /** Where new connections go from now on; those that are open are cut. */
  turnTo (port: number): void
}

/** Stands between clients and a server as a load balancer does. */
export async function startGate (t: Test, port: number): Promise<Gate> {
  const pairs = new Set<[Socket, Socket]>()
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    for (const [from, to] of [pair, [upstream, client]] as const) {
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => { for (const pair of pairs) for (const socket of pair) socket.destroy() }
  t.teardown(() => {
    server.close()
    cut()
  })
  return {
    port: (server.address() as AddressInfo).port,
    turnTo (next) {
      port = next
      cut()
    }
  }
}

export const portOf = ({ url }: { url: string }): number => Number(new URL(url).port)

/** Figures of a cluster that takes whatever there is. */
export const HUGE = { ...ROOMY, cpu_cores: 1000, cumulative_memory_in_mb: 1_000_000 }
