import { isIPv6 } from 'node:net'
import type { Readable } from 'node:stream'
import { Agent, request, type Dispatcher } from 'undici'
import type { Command } from '../../../schemas/channel.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import { reasonIn } from '../../../schemas/wording.js'
import { createConnector } from './connector.js'
import type { Networks } from './networks.js'

/** What became of a command that was pushed to a cluster manager. */
export type Outcome =
  /** The cluster took it. */
  | { kind: 'taken' }
  /** The cluster refused it. */
  | { kind: 'refused', reason: string }
  /** It may have been carried out all the same: the heartbeats decide (contract section 3). */
  | { kind: 'doubtful', reason: string }
  /** The cluster itself failed at it: worth a few tries. */
  | { kind: 'failed', reason: string, status: number }
  /** It did not get there, as far as is known: to be tried until it does. */
  | { kind: 'unreached', reason: string }

export interface Caller {
  /** Calls the cluster manager (contract section 3). Never rejects. */
  call (
    cluster: Pick<Cluster, 'id' | 'ip' | 'port' | 'registered_over'>,
    command: Command,
    signal: AbortSignal
  ): Promise<Outcome>
  close (): Promise<void>
}

const CONNECT_MS = 5000

/** Milliseconds that the body of an answer may take once the status is there. */
const BODY_MS = 5000

/** What is read of an answer, bytes: a traceback has its reason at the end. */
const MAX_ANSWER_BYTES = 65_536

/** Characters that are shown of an answer: who has an address called learns no more of what is there. */
const MAX_REASON = 120

/** 4xx that say "not now" instead of "no": Request Timeout, Too Early, Too Many Requests. */
const NOT_NOW = [408, 425, 429]

/** 5xx of something in front of a cluster manager that is away. */
const GATEWAY = [502, 503, 504]

/**
 * Addresses outside of `networks` are never contacted, redirects not followed.
 * @param answerMs Milliseconds until the status of an answer must have come.
 */
export function createCaller (networks: Networks, answerMs: number): Caller {
  const dispatcher = new Agent({
    connect: createConnector(networks, CONNECT_MS),
    connections: 1,
    headersTimeout: answerMs,
    bodyTimeout: BODY_MS
  })

  return {
    async call (cluster, command, signal) {
      const { ip, port } = cluster
      const obstacle = obstacleTo(command, cluster)
      if (obstacle) return obstacle
      const origin = originOf(ip, port)
      if (origin === undefined) {
        return { kind: 'unreached', reason: `the cluster has no usable address: ${ip}, port ${port ?? 'none'}` }
      }
      try {
        const { statusCode, headers, body } = await request(origin + pathOf(command), {
          dispatcher,
          signal,
          ...messageOf(command, cluster.id)
        })
        const text = await textOf(body)
        const isPage = String(headers['content-type']).includes('html')
        return judge(command, statusCode, isPage ? '' : reasonIn(text, MAX_REASON))
      } catch (err) {
        return {
          kind: 'unreached',
          reason: `${origin}: ${(err as Error).message || (err as NodeJS.ErrnoException).code}`
        }
      }
    },

    close: () => dispatcher.destroy()
  }
}

/**
 * Undefined for what is neither an address nor a host name: it comes from the cluster, and must not become more than a
 * host in the URL.
 */
function originOf (host: string, port: number | null): string | undefined {
  if (port === null || port < 1) return undefined
  if (isIPv6(host)) return `http://[${host}]:${port}`
  return /^[\w.-]+$/.test(host) ? `http://${host}:${port}` : undefined
}

/** What keeps a command from being a call at all. */
function obstacleTo (
  { kind, job, replicas }: Command,
  cluster: Pick<Cluster, 'id' | 'registered_over'>
): Outcome | undefined {
  if (kind === 'replicate' && isOriginal(cluster)) {
    return { kind: 'refused', reason: `it cannot be told to run ${replicas} instances: it is an original cluster` }
  }
  if (kind !== 'deploy') return undefined
  return entriesOf(job, cluster.id).length > 0
    ? undefined
    : { kind: 'refused', reason: 'no instance of the job is placed there' }
}

/** Whether a command has to wait for the channel of its cluster: a body for HTTP push has one entry. */
export function isForChannel (
  { kind, job }: Command,
  cluster: Pick<Cluster, 'id' | 'registered_over'>
): boolean {
  return kind === 'deploy' && !isOriginal(cluster) && entriesOf(job, cluster.id).length > 1
}

function entriesOf (job: Command['job'], clusterId: ClusterId): Array<Record<string, unknown>> {
  const list = (job?.instance_list ?? []) as Array<Record<string, unknown>>
  return list.filter(entry => entry.cluster_id === clusterId)
}

/**
 * An original cluster gives a worker to the first entry without a host and then reads that worker from every entry: one
 * too many, or one that has a host already, and it hears nothing any more (contract section 10).
 */
function asNew (entry: Record<string, unknown>): Record<string, unknown> {
  return { ...entry, namespace_ip: '', host_ip: '', host_port: '' }
}

/** Contract section 3, to the slash. */
function pathOf ({ kind, job_id: jobId }: Command): string {
  switch (kind) {
    case 'deploy':
      return '/api/deploy'
    case 'delete':
      return `/api/delete/${jobId}`
    case 'replicate':
      return '/api/replicate/'
    case 'move':
      return '/api/move/'
  }
}

function messageOf (
  { kind, job_id: jobId, job, replicas, node_from, node_to }: Command,
  clusterId: ClusterId
): Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body'> {
  const post = (body: unknown) => ({
    method: 'POST' as const,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  switch (kind) {
    case 'deploy':
      return post({ ...job, instance_list: entriesOf(job, clusterId).slice(0, 1).map(asNew) })
    case 'delete':
      return { method: 'GET' }
    case 'replicate':
      return post({ job: jobId, replicas })
    case 'move':
      return post({ job: jobId, node_from, node_to })
  }
}

function judge ({ kind }: Command, status: number, text: string): Outcome {
  const reason = `HTTP ${status}${text === '' ? '' : `: ${text}`}`
  if (status < 300) return { kind: 'taken' }
  // It has no such job: what was to be removed is not there.
  if (kind === 'delete' && (status === 404 || status === 410)) return { kind: 'taken' }
  if (status < 400) return { kind: 'refused', reason: `${reason} (redirects are not followed)` }
  if (NOT_NOW.includes(status) || GATEWAY.includes(status)) return { kind: 'unreached', reason }
  if (status < 500) return { kind: 'refused', reason }
  if (kind === 'deploy' && status === 500) return { kind: 'doubtful', reason }
  return { kind: 'failed', reason, status }
}

/** A body, or the first of it, however large, slow or broken it is: the status has said what matters. */
async function textOf (body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  const patience = setTimeout(() => body.destroy(), BODY_MS)
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= MAX_ANSWER_BYTES) break
    }
  } catch {
    // What came before will do.
  }
  clearTimeout(patience)
  return Buffer.concat(chunks).toString('utf8', 0, MAX_ANSWER_BYTES)
}
