import type { Test } from 'tap'
import { WebSocket } from 'undici'
import { eventually } from './waiting.js'

interface Frame { event: string, data: any }

/** A cluster that speaks the raw WebSocket channel by hand (contract section 5): it answers only what the test sends. */
export interface RawCluster {
  /** The id from sc2. */
  id: string
  /** Every frame so far. */
  frames: Frame[]
  send (event: string, data: unknown): void
  /** The next frame of this event that was not taken yet. */
  take (event: string): Promise<Frame['data']>
  close (): void
  /** Close code, once the socket is closed. */
  closed: Promise<number>
}

/** Connects and registers. `registration` goes into cs1 as it is. */
export async function connectCluster (t: Test, serverUrl: string, registration: Record<string, unknown>): Promise<RawCluster> {
  const socket = new WebSocket(serverUrl.replace('http', 'ws') + '/register')
  t.teardown(() => socket.close())
  const frames: Frame[] = []
  const untaken: Frame[] = []
  socket.addEventListener('message', ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame
    frames.push(frame)
    untaken.push(frame)
  })
  const closed = new Promise<number>(resolve => socket.addEventListener('close', ({ code }) => resolve(code)))
  const cluster: RawCluster = {
    id: '',
    frames,
    closed,
    send: (event, data) => socket.send(JSON.stringify({ event, data })),
    async take (event) {
      await eventually(async () => untaken.map(frame => frame.event), events => events.includes(event))
      return untaken.splice(untaken.findIndex(frame => frame.event === event), 1)[0]!.data
    },
    close: () => socket.close()
  }
  await cluster.take('sc1')
  cluster.send('cs1', { manager_port: 10100, cluster_info: {}, ...registration })
  cluster.id = (await cluster.take('sc2')).id
  return cluster
}

/** Figures of a cluster with plenty of room. */
export const ROOMY = { cpu_percent: 10, memory_percent: 20, cpu_cores: 16, cumulative_memory_in_mb: 32000, number_of_nodes: 3, technology: ['docker'], jobs: [], more: null }
