import type { CommandDraft } from './channel.js'
import type { ClusterId } from './cluster.js'
import type { Descriptor } from './descriptor.js'
import type { Instance, Job } from './job.js'
import { WAY_UP, type Status } from './status.js'

/** What follows from a job and nothing else. Both stores, the schedulers and the lifecycle go by these. */

/** Cores and MB. */
export interface Resources {
  cpu: number
  memory: number
}

/** Statuses of the way up below RUNNING (contract section 8). */
const BELOW_RUNNING: ReadonlySet<Status> = new Set(WAY_UP.slice(0, WAY_UP.indexOf('RUNNING')))

/** It is to be placed, now: it has no cluster, and waits for none to remove it first. */
export function isUnplaced ({ cluster_id: clusterId, awaits }: Pick<Instance, 'cluster_id' | 'awaits'>): boolean {
  return clusterId === '' && awaits === null
}

/** An instance of a job that is to run is to be placed, now. */
export function hasUnplaced (job: Pick<Job, 'desired_state' | 'instance_list'>): boolean {
  return job.desired_state === 'running' && job.instance_list.some(isUnplaced)
}

/**
 * The Cloud Scheduler is to place it. That one knows neither moves nor any place but the descriptor's, so what moves or
 * was sent elsewhere is placed here.
 */
export function isForCloudScheduler (instance: Pick<Instance, 'cluster_id' | 'awaits' | 'move' | 'location'>): boolean {
  return isUnplaced(instance) && instance.move === null && instance.location === null
}

/** On a cluster and below RUNNING: the free figures of its cluster do not show it yet. */
export function isReserving ({ cluster_id: clusterId, status }: Pick<Instance, 'cluster_id' | 'status'>): boolean {
  return clusterId !== '' && BELOW_RUNNING.has(status)
}

/** What each instance asks of its cluster; 0 asks nothing (contract section 6). */
export function requirementsOf ({ requirements }: Pick<Descriptor, 'requirements'>): Resources {
  return { cpu: requirements?.cpu ?? 0, memory: requirements?.memory ?? 0 }
}

/** What the instances of a job reserve, summed per cluster. */
export function reservationsOf (job: Pick<Job, 'descriptor' | 'instance_list'>): Map<ClusterId, Resources> {
  const { cpu, memory } = requirementsOf(job.descriptor)
  const sums = new Map<ClusterId, Resources>()
  for (const { cluster_id: clusterId } of job.instance_list.filter(isReserving)) {
    const sum = sums.get(clusterId) ?? { cpu: 0, memory: 0 }
    sums.set(clusterId, { cpu: sum.cpu + cpu, memory: sum.memory + memory })
  }
  return sums
}

/** The form of a job name that cluster managers ask for: "_" for "." (contract section 2). */
export function underscored (jobName: string): string {
  return jobName.replaceAll('.', '_')
}

/** Kinds of commands that carry the document of their job (contract section 5). */
export function carriesDocument ({ kind }: Pick<CommandDraft, 'kind'>): boolean {
  return kind === 'deploy' || kind === 'replicate'
}
