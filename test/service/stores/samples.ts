import { ObjectId } from 'bson'
import type { CommandDraft } from '../../../schemas/channel.js'
import type { Cluster } from '../../../schemas/cluster.js'
import type { Instance, Job } from '../../../schemas/job.js'
import type { CommitOutcome, JobChange, Store } from '../../../stores/store.js'

/** Things to put into a store, as small as they may be. Names are new each time unless given. */

const NOW = new Date().toISOString()
let names = 0

export async function registered (store: Pick<Store, 'clusters'>, name = `cluster-${++names}`, now = Date.now()): Promise<Cluster> {
  return await store.clusters.register(
    {
      cluster_name: name,
      ip: '10.0.0.1',
      port: 10000,
      network_component_port: 6000,
      registered_over: 'channel',
      delivery: 'http',
      clusterinfo: { arch: 'arm64' },
      cluster_location: 'hpi'
    },
    now
  )
}

export function anInstance (number: number, fields: Partial<Instance> = {}): Instance {
  return {
    instance_number: number,
    instance_ip: '',
    cluster_id: '',
    namespace_ip: '',
    host_ip: '',
    host_port: null,
    status: 'REQUESTED',
    status_reason: null,
    status_since: NOW,
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
    refusals: [],
    ...fields
  }
}

export function aJob ({ instances = 1, ...fields }: Partial<Job> & { instances?: number } = {}): Job {
  const name = fields.job_name ?? `demo.default.service-${++names}.test`
  const [app = '', appNs = '', service = '', serviceNs = ''] = name.split('.')
  return {
    id: new ObjectId().toHexString(),
    job_name: name,
    descriptor: {
      api_version: 'v0.1', app_name: app, app_ns: appNs, service_name: service, service_ns: serviceNs, image: 'nginx', image_runtime: 'docker', requirements: { cpu: 0.5, memory: 100 }
    },
    desired_state: 'running',
    replicas: instances,
    status: 'REQUESTED',
    status_reason: null,
    service_ip_list: [{ IpType: 'RR', Address: '' }],
    instance_list: Array.from({ length: instances }, (_, number) => anInstance(number)),
    retiring: [],
    repeats: [],
    removals: [],
    explanation: null,
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    generation: 1,
    revision: 0,
    created_at: NOW,
    updated_at: NOW,
    ...fields
  }
}

export function anEvent (message: string): JobChange['events'][number] {
  return { time: NOW, type: 'status', cause: 'user', message }
}

export function aCommand (job: Job, clusterId: string, kind: CommandDraft['kind'] = 'deploy', more: Partial<CommandDraft> = {}): CommandDraft {
  return { cluster_id: clusterId, command_id: `command-${++names}`, kind, job_id: job.id, ...more }
}

export async function commit (store: Store, job: Job, more: Partial<Omit<JobChange, 'job'>> = {}): Promise<CommitOutcome> {
  const [outcome] = await store.jobs.commit([{ job, events: [], commands: [], ...more }])
  return outcome!
}

/** Commits, and gives the job as stored; throws for any outcome but `saved`. */
export async function saved (store: Store, job: Job, more: Partial<Omit<JobChange, 'job'>> = {}): Promise<Job> {
  const outcome = await commit(store, job, more)
  if (outcome.outcome !== 'saved') throw new Error(`expected the job to be saved, got ${JSON.stringify(outcome)}`)
  return outcome.job
}

/** The job with each instance on this cluster, in this status. */
export function on (job: Job, clusterId: string, status: Instance['status'] = 'CLUSTER_SCHEDULED'): Job {
  return { ...job, instance_list: job.instance_list.map(instance => ({ ...instance, cluster_id: clusterId, status })) }
}

/** The end of a job: no addresses, no instances. */
export function undeployed (job: Job, fields: Partial<Job> = {}): Job {
  return { ...job, desired_state: 'undeployed', status: 'UNDEPLOYED', service_ip_list: [], instance_list: [], retiring: [], ...fields }
}

export function addressesOf (job: Job): string[] {
  return [...job.service_ip_list.map(({ Address }) => Address), ...job.instance_list.map(instance => instance.instance_ip)]
}

/** The next subnet, for any address; undefined when all are given out. */
export async function nextSubnet (
  { subnets }: Pick<Store, 'subnets'>,
  address = '10.0.0.1'
): Promise<string | undefined> {
  const taken = await subnets.take(address, 1e6, Date.now())
  return taken.outcome === 'given' ? taken.subnet : undefined
}

/** The documents of all jobs, as JSON. */
export async function documentsOf ({ jobs }: Pick<Store, 'jobs'>): Promise<string[]> {
  return (await jobs.documents({ limit: 10_000 })).map(({ text }) => text)
}
