import { EventEmitter, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import Fastify from 'fastify'
import { clusterEvents, PROTOCOL_VERSION } from '../../../schemas/channel.js'
import type { ClusterRegistration, Heartbeat } from '../../../schemas/cluster.js'
import { patience } from '../../support/waiting.js'

export const CLUSTER_ID = 'c'.repeat(24)
export const OTHER_CLUSTER_ID = 'd'.repeat(24)
export const JOB_ID = '65a1b2c3d4e5f60718293a4b'

interface Frame { event: string, data: Record<string, unknown> }

/** One connection of a cluster, seen from the System Manager. */
export class Connection {
  /** Every frame that came, in order, after `cs1`. */
  readonly frames: Frame[] = []
  /** Frames that broke the schemas of the contract. */
  readonly violations: string[] = []
  readonly #news = new EventEmitter()
  #seen = 0

  constructor (readonly cs1: ClusterRegistration, private readonly socket: { send (text: string): void, close (code: number): void, terminate (): void, on (event: 'close', listener: (code: number) => void): void }) {
    socket.on('close', code => this.#news.emit('closed', code))
  }

  receive (frame: Frame) {
    const schema: TSchema | undefined = clusterEvents[frame.event as keyof typeof clusterEvents]
    if (!schema) this.violations.push(`unknown event ${frame.event}`)
    else for (const { path, message } of Value.Errors(schema, frame.data)) this.violations.push(`${frame.event}${path}: ${message}`)
    this.frames.push(frame)
    this.#news.emit('frame')
  }

  send (event: string, data: object) { this.socket.send(JSON.stringify({ event, data })) }
  close (code: number) { this.socket.close(code) }
  terminate () { this.socket.terminate() }

  async closed (): Promise<number> {
    const [code] = await once(this.#news, 'closed', { signal: AbortSignal.timeout(Math.round(patience(5000))) })
    return code as number
  }

  /** The next frame of this kind that was not yet asked past; frames before it are passed over. */
  async next (event: string, fits: (data: Record<string, unknown>) => boolean = () => true): Promise<Record<string, unknown>> {
    for (;;) {
      while (this.#seen < this.frames.length) {
        const frame = this.frames[this.#seen++]
        if (frame?.event === event && fits(frame.data)) return frame.data
      }
      await once(this.#news, 'frame', { signal: AbortSignal.timeout(Math.round(patience(5000))) })
    }
  }

  /** The next heartbeat with this status of the job. */
  async heartbeat (jobId: string, status: string): Promise<Heartbeat> {
    return this.next('information', ({ jobs }) => (jobs as Array<{ system_job_id: string, status: string }>)
      .some(job => job.system_job_id === jobId && job.status === status))
  }
}

/** A System Manager that plays the raw channel by the contract (section 5), and no more. It closes its connections when it closes. */
export async function startSystemManager (sc2: { id?: string, heartbeat_interval_s?: number, resumed?: boolean, next_seq?: number } = {}, port = 0) {
  const app = Fastify({ forceCloseConnections: true })
  const connections = new EventEmitter<{ connection: [Connection] }>()
  const waiting: Connection[] = []
  await app.register(websocket)
  app.get('/register', { websocket: true }, socket => {
    let connection: Connection | undefined
    socket.on('message', (text: Buffer) => {
      const frame = JSON.parse(text.toString()) as Frame
      if (connection) {
        connection.receive(frame)
        return
      }
      if (frame.event !== 'cs1') throw new Error(`${frame.event} came before cs1`)
      connection = new Connection(frame.data as ClusterRegistration, socket)
      connection.send('sc2', { id: CLUSTER_ID, heartbeat_interval_s: 15, resumed: frame.data.last_seq !== undefined, next_seq: 1, ...sc2 })
      waiting.push(connection)
      connections.emit('connection', connection)
    })
    socket.send(JSON.stringify({ event: 'sc1', data: { 'Hello-Cluster_Manager': 'please send your cluster info', protocol: PROTOCOL_VERSION } }))
  })
  await app.listen({ host: '127.0.0.1', port })

  return {
    url: `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/register`,
    /** The next cluster that registers. */
    async registration (): Promise<Connection> {
      if (waiting.length === 0) await once(connections, 'connection', { signal: AbortSignal.timeout(Math.round(patience(5000))) })
      return waiting.shift()!
    },
    close: () => app.close()
  }
}

/** A job document as it is on the wire, with these instances on the cluster. */
export function jobDocument ({ id = JOB_ID, numbers = [0], cluster = CLUSTER_ID, generation = 1, ...fields }: {
  id?: string, numbers?: number[], cluster?: string, generation?: number, [field: string]: unknown
} = {}) {
  return {
    _id: id,
    job_name: 'demo.default.service1.test',
    image: 'nginx:1',
    image_runtime: 'docker',
    port: 80,
    requirements: { cpu: 1, memory: 100 },
    status: 'CLUSTER_SCHEDULED',
    instance_list: numbers.map(number => ({ instance_number: number, instance_ip: `172.30.0.${number}`, cluster_id: cluster, namespace_ip: '', host_ip: '', host_port: '' })),
    system_manager: { generation },
    ...fields
  }
}

/** A command whose id follows from its seq. */
export function command (seq: number, kind: string, more: object = {}) {
  return { seq, command_id: `command-${seq}`, kind, job_id: JOB_ID, ...more }
}
