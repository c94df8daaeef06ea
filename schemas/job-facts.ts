import type { CommandDraft } from './channel.js'
import type { ClusterId } from './cluster.js'
import type { Descriptor } from './descriptor.js'
import type { Instance, Job } from './job.js'
import { STOPS, WAY_UP, type Status } from './status.js'

/** Rules about a job alone. Both stores, the schedulers and the lifecycle apply them. */

/** `cpu` in cores, `memory` in MB. */
export interface Resources {
  cpu: number
  memory: number
}

/** Statuses of the way up below RUNNING (contract section 8). */
const BELOW_RUNNING: ReadonlySet<Status> = new Set(WAY_UP.slice(0, WAY_UP.indexOf('RUNNING')))

const BEGUN: ReadonlySet<Status> = new Set([...WAY_UP.slice(WAY_UP.indexOf('NODE_SCHEDULED')), ...STOPS])

/**
 * An instance to be placed now: it has no cluster, and does not wait for one to remove it first. One that was taken
 * over and runs nobody knows where is given up: another one beside it might be one too many.
 */
export function isUnplaced (
  { cluster_id: clusterId, awaits, given_up: givenUp }: Pick<Instance, 'cluster_id' | 'awaits' | 'given_up'>
): boolean {
  return clusterId === '' && awaits === null && !givenUp
}

/** A job that should run and has an unplaced instance. */
export function hasUnplaced (job: Pick<Job, 'desired_state' | 'instance_list'>): boolean {
  return job.desired_state === 'running' && job.instance_list.some(isUnplaced)
}

/**
 * Splits off what the document of a job need not carry: earlier descriptors that neither an instance has nor an update
 * goes back to. In `job` they are null.
 */
export function withoutOldDescriptors (
  job: Job
): { job: Job, old: Array<{ generation: number, descriptor: Descriptor }> } {
  const needed = new Set([job.rollout?.from_generation, ...job.instance_list.map(entry => entry.generation)])
  const old = job.revisions.flatMap(({ generation, descriptor }) =>
    descriptor && !needed.has(generation) ? { generation, descriptor } : []
  )
  if (old.length === 0) return { job, old }
  const isOld = new Set(old.map(({ generation }) => generation))
  const revisions = job.revisions.map(each => isOld.has(each.generation) ? { ...each, descriptor: null } : each)
  return { job: { ...job, revisions }, old }
}

/**
 * An instance for the Cloud Scheduler to place. The Cloud Scheduler knows neither moves nor places other than the
 * descriptor's, so the embedded scheduler places moving instances and those that a move sent elsewhere.
 */
export function isForCloudScheduler (
  instance: Pick<Instance, 'cluster_id' | 'awaits' | 'given_up' | 'move' | 'location'>
): boolean {
  return isUnplaced(instance) && instance.move === null && instance.location === null
}

/** It runs, as far as its cluster says: an original cluster never says RUNNING (contract section 10). */
export function runs ({ status, original }: Pick<Instance, 'status' | 'original'>): boolean {
  return status === 'RUNNING' || (original && status === 'DEPLOYED')
}

/** An instance on a cluster that does not run yet: the free capacity that its cluster reports does not show it. */
export function isReserving (instance: Pick<Instance, 'cluster_id' | 'status' | 'original'>): boolean {
  return instance.cluster_id !== '' && BELOW_RUNNING.has(instance.status) && !runs(instance)
}

/** Whether a cluster that says this of a job has begun with it: more than CLUSTER_SCHEDULED (contract section 10). */
export function hasBegun (told: Status | null): boolean {
  return told !== null && BEGUN.has(told)
}

/**
 * The requirements of each instance, as the descriptor has them; 0 where it has none (contract section 6). Those of a
 * stored descriptor may be no figures: whoever decides by them has to check.
 */
export function requirementsOf ({ requirements }: Pick<Descriptor, 'requirements'>): Resources {
  return { cpu: requirements?.cpu ?? 0, memory: requirements?.memory ?? 0 }
}

/** What each instance reserves where it is placed: its requirements, as far as they are figures. */
export function reservationOf (descriptor: Pick<Descriptor, 'requirements'>): Resources {
  const { cpu, memory } = requirementsOf(descriptor)
  return { cpu: figureOf(cpu), memory: figureOf(memory) }
}

function figureOf (value: unknown): number {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) && number > 0 ? number : 0
}

/**
 * The ports of its worker that each instance of a service takes: 8080/tcp for `port: "8080:80"`, 6080/tcp and 7000/udp
 * for "6080:80/tcp;7000:70/udp".
 */
export function hostPortsOf ({ port }: Pick<Descriptor, 'port'>): string[] {
  const taken = String(port ?? '').split(';').flatMap(one => {
    const [mapping = '', protocol = 'tcp'] = one.split('/')
    const [host, container] = mapping.split(':')
    return container === undefined ? [] : [`${Number(host)}/${protocol}`]
  })
  return [...new Set(taken)]
}

/** The resources that the instances of a job reserve, summed per cluster. */
export function reservationsOf (job: Pick<Job, 'descriptor' | 'instance_list'>): Map<ClusterId, Resources> {
  const { cpu, memory } = reservationOf(job.descriptor)
  const sums = new Map<ClusterId, Resources>()
  for (const { cluster_id: clusterId } of job.instance_list.filter(isReserving)) {
    const sum = sums.get(clusterId) ?? { cpu: 0, memory: 0 }
    sums.set(clusterId, { cpu: sum.cpu + cpu, memory: sum.memory + memory })
  }
  return sums
}

/** A job name as cluster managers write it: "_" for "." (contract section 2). */
export function underscored (jobName: string): string {
  return jobName.replaceAll('.', '_')
}

/** Kinds of commands that carry the document of their job (contract section 5). */
export function carriesDocument ({ kind }: Pick<CommandDraft, 'kind'>): boolean {
  return kind === 'deploy' || kind === 'replicate'
}
