import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Status } from '../../../schemas/status.js'
import { ROOMY } from '../../support/raw-cluster.js'
import { registerOverSocketIo, startClusterManager, type Call } from './cluster-manager.js'

/**
 * A cluster manager of release 0.1 with one worker node, as contract section 10 saw them. It is as unkind as they are: it
 * never says RUNNING, never forgets a job, cannot be asked to change what runs, and hears nothing any more after a body
 * that it does not stand.
 */
export interface OriginalCluster {
  id: string
  calls: Call[]
  /** What runs on the worker, by job name. */
  containers: Map<string, { image: string }>
  /** Its worker-facing thread has ended: it reports 0 nodes until it is restarted. */
  isDeaf(): boolean
  /** Says what it says every 15 s. */
  beat(): Promise<void>
  /** Loses its database: what runs goes on running. */
  forget(): void
  /** It has heard of this job before. */
  know(id: string, jobName: string, status: Status): void
  /** Where the System Manager is from now on. */
  callAt(url: string): void
  /** Fails each delete with this text until undefined. */
  failDeletes(text: string | undefined): void
}

interface Known {
  job_name: string
  status: Status
  /** It gave a worker to it. */
  isPlaced: boolean
}

interface Entry {
  instance_number: number
  cluster_id: string
  namespace_ip: unknown
  host_ip: unknown
  host_port: unknown
}
interface Body {
  _id: string
  job_name: string
  image: string
  node?: string
  instance_list: Entry[]
}

/** Milliseconds from a deploy to its `cluster_deploy`, and that the worker takes to remove a container. */
const START_MS = 100
const REMOVE_MS = 150

const WORKER = 'pi-1'

/** An image whose container fails, and one of which nothing is heard. */
export const BROKEN = 'broken'
export const HANGING = 'hanging'

const TRACEBACK = `Traceback (most recent call last):
  File "/cluster_manager/mqtt_client.py", line 143, in mqtt_publish_edge_delete
    worker = job['instance_list'][0]['worker_id']
KeyError: 'worker_id'
`

export async function startOriginalCluster (
  t: Test,
  { url: firstUrl }: { url: string },
  { cluster_name: name = 'hpi', beatEveryMs = 200, ...cs1 }: Record<string, unknown> & { beatEveryMs?: number } = {}
): Promise<OriginalCluster> {
  const manager = await startClusterManager(t)
  const known = new Map<string, Known>()
  const containers = new Map<string, { image: string }>()
  let url = firstUrl
  let isDeaf = false
  let deleteFailure: string | undefined

  const post = (path: string, body: unknown) =>
    fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

  /** Gives a worker to the first entry without a host, and then reads that worker from every entry. */
  async function deploy ({ _id: id, job_name: jobName, image, node, instance_list: list }: Body): Promise<void> {
    // Of a job that it knows it goes on saying what it said last, until there is news.
    const { status = 'CLUSTER_SCHEDULED' } = known.get(id) ?? {}
    const job: Known = { job_name: jobName, status, isPlaced: false }
    known.set(id, job)
    if (node !== undefined && node !== WORKER) return
    const [entry] = list
    if (list.length !== 1 || entry!.host_ip !== '' || entry!.cluster_id !== cluster.id) {
      isDeaf = true
      return
    }
    job.isPlaced = true
    if (image === HANGING) return
    if (containers.has(jobName)) {
      await sleep(START_MS)
      job.status = 'FAILED'
      return
    }
    containers.set(jobName, { image })
    await sleep(START_MS)
    job.status = image === BROKEN ? 'FAILED' : 'DEPLOYED'
    if (image === BROKEN) return
    await post('/api/result/cluster_deploy', {
      job_id: id,
      instances: [
        { instance_number: entry!.instance_number, namespace_ip: '10.18.0.2', host_ip: '127.0.0.1', host_port: 50103 }
      ]
    })
  }

  async function remove (jobName: string): Promise<void> {
    await sleep(REMOVE_MS)
    containers.delete(jobName)
  }

  manager.answer = ({ path, body }, reply) => {
    const answer = (code: number, text: string) => reply.writeHead(code, { 'content-type': 'text/plain' }).end(text)
    const background = (work: Promise<void>) => {
      work.catch(() => {})
    }
    const [, , kind, id] = path.split('/')
    if (kind === 'replicate') answer(500, "TypeError: 'NoneType' object is not subscriptable\n")
    else if (isDeaf) answer(200, 'ok')
    else if (kind === 'deploy') {
      answer(200, 'ok')
      background(deploy(JSON.parse(body) as Body))
    } else if (kind === 'delete') {
      const job = known.get(id!)
      if (deleteFailure !== undefined) answer(500, deleteFailure)
      else if (!job?.isPlaced) answer(500, TRACEBACK)
      else {
        answer(200, 'ok')
        background(remove(job.job_name))
      }
    } else answer(200, 'ok')
  }

  const cluster: OriginalCluster = {
    id: '',
    calls: manager.calls,
    containers,
    isDeaf: () => isDeaf,
    async beat () {
      const jobs = [...known].map(([id, { status }]) => ({ system_job_id: id, status }))
      await post(`/api/information/${cluster.id}`, { ...ROOMY, ...(isDeaf && { number_of_nodes: 0 }), jobs })
    },
    forget: () => known.clear(),
    know: (id, jobName, status) => {
      known.set(id, { job_name: jobName, status, isPlaced: true })
    },
    callAt (next) {
      url = next
    },
    failDeletes (text) {
      deleteFailure = text
    }
  }
  cluster.id = await registerOverSocketIo(Number(new URL(url).port), {
    cluster_name: name,
    manager_port: manager.port,
    cluster_location: name,
    ...cs1
  })
  const beats = setInterval(() => cluster.beat().catch(() => {}), beatEveryMs)
  t.teardown(() => clearInterval(beats))
  return cluster
}
