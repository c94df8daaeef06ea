import type { Cluster } from '../../../schemas/cluster.js'
import { NO_MAINTENANCE } from '../../../schemas/cluster-facts.js'
import type { Job } from '../../../schemas/job.js'
import type { Candidate } from '../../../services/scheduler-client/scheduler.js'

/** The moment of all samples, Unix ms, and the contract's 45 s. */
export const PASS = { now: Date.UTC(2026, 0, 31, 12), graceMs: 45_000 }

export const idOf = (n: number) => n.toString(16).padStart(24, '0')

/** A cluster with 4 cores and 8000 MB free, last heard 5 s ago. Its id is made from `n`; its name is its location too. */
export function candidate (
  n: number,
  name: string,
  more: Partial<Cluster> = {},
  reserved = { cpu: 0, memory: 0 }
): Candidate & { cluster: Cluster } {
  const { last_modified_timestamp: lastSign = silentFor(5) } = more
  return {
    silentMs: PASS.now - lastSign * 1000,
    cluster: {
      id: idOf(n),
      cluster_name: name,
      ip: '127.0.0.1',
      port: 10000,
      network_component_port: null,
      registered_over: 'channel',
      delivery: 'channel',
      clusterinfo: null,
      cluster_location: name,
      nodes: 1,
      active_nodes: 1,
      aggregated_cpu_percent: 10,
      total_cpu_cores: 4,
      aggregated_memory_percent: 10,
      memory_in_mb: 8000,
      technology: ['docker'],
      more: null,
      workers: null,
      warnings: [],
      ...NO_MAINTENANCE,
      registered_at: new Date(PASS.now - 3_600_000).toISOString(),
      last_heartbeat_at: new Date(PASS.now - 5000).toISOString(),
      last_modified_timestamp: lastSign,
      ...more
    },
    reserved
  }
}

/** `last_modified_timestamp` of a cluster that is silent for so long. */
export const silentFor = (seconds: number) => PASS.now / 1000 - seconds

interface Asked {
  location?: string
  node?: string
  runtime?: string
  cpu?: number
  memory?: number
  /** One entry per instance: the id of its cluster, or '' while it has none. */
  instances?: string[]
}

/** A job of one instance that asks for 1 core and 100 MB, unless stated otherwise. */
export function job ({ location, node, runtime = 'docker', cpu = 1, memory = 100, instances = [''] }: Asked = {}): Job {
  const at = new Date(PASS.now - 60_000).toISOString()
  return {
    id: idOf(0xa0b),
    job_name: 'demo.default.service1.test',
    descriptor: {
      api_version: 'v0.1',
      app_name: 'demo',
      app_ns: 'default',
      service_name: 'service1',
      service_ns: 'test',
      image: 'docker.io/library/nginx:alpine',
      image_runtime: runtime,
      requirements: { cpu, memory, ...node && { node } },
      ...location && { cluster_location: location },
      ...node && { node }
    },
    desired_state: 'running',
    replicas: instances.length,
    status: 'REQUESTED',
    status_reason: null,
    service_ip_list: [{ IpType: 'RR', Address: '172.30.0.1' }],
    instance_list: instances.map((clusterId, n) => ({
      instance_number: n,
      instance_ip: `172.30.1.${n % 250}`,
      cluster_id: clusterId,
      namespace_ip: '',
      host_ip: '',
      host_port: null,
      status: 'REQUESTED',
      status_reason: null,
      status_since: at,
      generation: 1,
      move: null,
      original: false,
      told: null,
      location: null,
      attempts: 0,
      told_apart: false,
      offered: null,
      silent: false,
      awaits: null,
      given_up: false,
      refusals: []
    })),
    retiring: [],
    repeats: [],
    removals: [],
    explanation: null,
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    generation: 1,
    revision: 1,
    created_at: at,
    updated_at: at
  }
}

/** How a refusal is told: when, why, and until when the cluster is left alone. Times of the day of all samples. */
export const refusal = (at: string, error: string, until: string) =>
  `refused it at 2026-01-31T${at}Z (${error}); it is asked again at 2026-01-31T${until}Z, or once it reports more room`
