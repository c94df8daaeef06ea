import { WebSocket } from 'undici'

/** A cluster with unlimited capacity that acknowledges every command at once (contract section 5). */
export interface BenchCluster {
  id: string
  /** Jobs from its `deploy` commands, in order. */
  jobIds: string[]
  close (): void
}

const ENDLESS = { cpu_cores: 1e6, cumulative_memory_in_mb: 1e8, number_of_nodes: 1000, technology: ['docker'] }

export async function connectBenchCluster (url: string, name: string): Promise<BenchCluster> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/register`)
  const send = (event: string, data: unknown) => socket.send(JSON.stringify({ event, data }))
  const jobIds: string[] = []
  const id = await new Promise<string>((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error('the channel could not be opened')))
    socket.addEventListener('message', ({ data: text }) => {
      const { event, data } = JSON.parse(String(text)) as {
        event: string
        data: { id: string, seq: number, job_id: string, kind: string }
      }
      if (event === 'sc1') {
        send('cs1', { cluster_name: name, cluster_location: name, manager_port: 10100, cluster_info: null })
      }
      if (event === 'sc2') {
        send('information', ENDLESS)
        resolve(data.id)
      }
      if (event === 'command') {
        if (data.kind === 'deploy') jobIds.push(data.job_id)
        send('ack', { seq: data.seq })
      }
    })
  })
  return { id, jobIds, close: () => socket.close() }
}
