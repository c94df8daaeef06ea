import type { ClusterId } from '../../../schemas/cluster.js'
import type { Instance, Job } from '../../../schemas/job.js'
import { hasBegun, runs } from '../../../schemas/job-facts.js'
import { CLUSTER_REFUSALS, type Status } from '../../../schemas/status.js'
import { worst } from './transitions.js'

/**
 * Reads the entries of an instance_list. While an instance moves, two entries have its number: the source, where it is,
 * and the successor, where it goes.
 */

/** Where a moving instance comes from; undefined when it does not move, or when its source is gone already. */
export function sourceOf (job: Job, { instance_number: number, move }: Instance): Instance | undefined {
  return move === null
    ? undefined
    : job.instance_list.find(entry =>
      entry.instance_number === number && entry.cluster_id === move.from && entry.move === null
    )
}

/** Where an instance moves to. */
export function successorOf (
  job: Job,
  { instance_number: number, cluster_id: clusterId, move }: Instance
): Instance | undefined {
  return move !== null || clusterId === ''
    ? undefined
    : job.instance_list.find(entry => entry.instance_number === number && entry.move?.from === clusterId)
}

/** It runs or has completed, as far as its cluster has reported. */
export function isUp (instance: Instance): boolean {
  const { status, awaits, silent } = instance
  return awaits === null && !silent && (runs(instance) || status === 'COMPLETED')
}

/**
 * Whether an instance may run where it is, whatever its status: its cluster had begun with it. What an original cluster
 * calls FAILED or DEAD can only be started again once it was removed (contract section 10): that goes in any case.
 */
export function mayRun ({ status, told, original, cluster_id: clusterId }: Instance): boolean {
  return clusterId !== '' && hasBegun(told) && !(CLUSTER_REFUSALS as readonly Status[]).includes(status) &&
    !(original && (status === 'FAILED' || status === 'DEAD'))
}

/**
 * Whether its status is about it alone, and not one word of its cluster for it and its siblings. CLUSTER_SCHEDULED is
 * no word of a cluster.
 */
export function isToldApart ({ instance_list: list }: Job, entry: Instance): boolean {
  const { cluster_id: clusterId, told_apart: isApart, status } = entry
  return isApart || status === 'CLUSTER_SCHEDULED' ||
    list.filter(other => other.cluster_id === clusterId && other.status !== 'COMPLETED').length < 2
}

/** One entry per instance number; of an instance that moves, the better end. In order of number. */
export function effective (job: Job): Instance[] {
  const best = new Map<number, Instance>()
  for (const entry of job.instance_list) {
    const other = best.get(entry.instance_number)
    best.set(entry.instance_number, other && worst([other, entry]) === entry ? other : entry)
  }
  return [...best.values()].sort((a, b) => a.instance_number - b.instance_number)
}

/** All instance numbers, in order. */
export function numbersOf (job: Job): number[] {
  return [...new Set(job.instance_list.map(entry => entry.instance_number))].sort((a, b) => a - b)
}

/** Instances by the cluster they are placed on; those without one are left out. */
export function byCluster (instances: readonly Instance[]): Map<ClusterId, Instance[]> {
  const groups = new Map<ClusterId, Instance[]>()
  for (const instance of instances) {
    if (instance.cluster_id === '') continue
    const group = groups.get(instance.cluster_id)
    if (group) group.push(instance)
    else groups.set(instance.cluster_id, [instance])
  }
  return groups
}

/** A new instance, not placed yet. Its address is leased when the change is stored. */
export function newInstance (
  instanceNumber: number,
  generation: number,
  now: string,
  more: Partial<Instance> = {}
): Instance {
  return {
    instance_number: instanceNumber,
    instance_ip: '',
    cluster_id: '',
    namespace_ip: '',
    host_ip: '',
    host_port: null,
    status: 'REQUESTED' satisfies Status,
    status_reason: null,
    status_since: now,
    generation,
    move: null,
    original: false,
    told: null,
    location: null,
    attempts: 0,
    given_up: false,
    told_apart: false,
    silent: false,
    awaits: null,
    offered: null,
    refusals: [],
    ...more
  }
}
