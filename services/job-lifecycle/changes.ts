import { isDeepStrictEqual } from 'node:util'
import { ObjectId } from 'bson'
import type { Command } from '../../schemas/channel.js'
import type { ClusterId } from '../../schemas/cluster.js'
import type { Descriptor } from '../../schemas/descriptor.js'
import type { DeployResult, Instance, Job } from '../../schemas/job.js'
import { CLUSTER_REFUSALS, type Status } from '../../schemas/status.js'
import type { JobChange } from '../../stores/store.js'
import type { PlacementDecision } from '../scheduler-client/scheduler.js'
import { jobName } from './descriptor/name.js'
import { byCluster, editJob, newInstance } from './job-edit.js'
import { mayBecome, reportedStatus } from './transitions.js'

/**
 * The decisions of the job lifecycle, each a pure function from a job and a piece of news to the change to commit,
 * undefined when there is nothing to do. Side effects stand in the change: events, commands, addresses.
 */

/** Most refusals remembered per instance. */
const MAX_REFUSALS = 20

/** An explanation whose numbers changed is written anew at most this often, ms. */
const EXPLANATION_AGE_MS = 30_000

/** A job that did not exist. */
export function created (descriptor: Descriptor, cause: string, at = new Date()): JobChange {
  const now = at.toISOString()
  const replicas = descriptor.replicas ?? 1
  const edit = editJob({
    id: new ObjectId().toHexString(),
    job_name: jobName(descriptor),
    descriptor,
    desired_state: 'running',
    replicas,
    status: 'REQUESTED',
    status_reason: null,
    service_ip_list: [{ IpType: 'RR', Address: descriptor.RR_ip ?? '' }],
    instance_list: Array.from({ length: replicas }, (_, number) => newInstance(number, 1, now)),
    retiring: [],
    explanation: null,
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    generation: 1,
    revision: 0,
    created_at: now,
    updated_at: now
  }, cause, at)
  edit.event('deployed', `${edit.job.job_name} was asked for, ${instances(replicas)}`)
  return edit.done()!
}

/**
 * Brings a live job to another descriptor. Instances stay where they are if their cluster may still hold them; the
 * others are placed anew, and keep their addresses.
 * @param mayStay Whether the new descriptor still allows this cluster.
 */
export function updated (job: Job, descriptor: Descriptor, mayStay: (clusterId: ClusterId) => boolean, cause: string): JobChange | undefined {
  if (isDeepStrictEqual(job.descriptor, descriptor)) return undefined
  const edit = editJob(job, cause)
  const { job: next, now } = edit
  const { replicas: before = 1, RR_ip: addressBefore, ...restBefore } = job.descriptor
  const { replicas = 1, RR_ip: address, ...rest } = descriptor
  const contentChanged = !isDeepStrictEqual(restBefore, rest)

  next.descriptor = descriptor
  next.generation++
  next.replicas = replicas
  if (address !== undefined && address !== addressBefore) next.service_ip_list = [{ IpType: 'RR', Address: address }]
  edit.event('updated', `generation ${next.generation}${replicas === before ? '' : `, ${instances(replicas)} instead of ${before}`}`)

  const leaving = next.instance_list.filter(instance => instance.instance_number >= replicas || (instance.cluster_id !== '' && !mayStay(instance.cluster_id)))
  const staying = next.instance_list.filter(instance => !leaving.includes(instance))
  const stayingBy = byCluster(staying)
  const leavingBy = byCluster(leaving)

  for (const clusterId of new Set([...stayingBy.keys(), ...leavingBy.keys()])) {
    const kept = stayingBy.get(clusterId) ?? []
    const left = leavingBy.get(clusterId) ?? []
    // One command says it all to a cluster: its instances are those that the job document lists for it.
    const kind = kept.length === 0 ? 'delete' : contentChanged ? 'deploy' : 'replicate'
    if (kind === 'replicate' && left.length === 0) continue
    const commandId = edit.command(clusterId, kind, kind === 'replicate' ? { replicas: kept.length } : {})
    if (left.length > 0) {
      edit.retire(clusterId, left.map(({ instance_number, instance_ip }) => ({ instance_number, instance_ip })), commandId)
      edit.event('retired', `${clusterId} is to remove ${instances(left.length)}`, { cluster_id: clusterId })
    }
    if (!contentChanged) continue
    for (const instance of kept) {
      edit.move(instance, 'renewed', 'CLUSTER_SCHEDULED', 'the cluster was told to bring it to the new descriptor')
      instance.awaits = commandId
    }
  }

  for (const instance of leaving) {
    if (instance.instance_number >= replicas) continue
    edit.move(instance, 'recalled', 'REQUESTED', 'its cluster no longer matches the descriptor')
    unplace(instance)
  }
  next.instance_list = next.instance_list.filter(instance => instance.instance_number < replicas)
  for (let number = 0; number < replicas; number++) {
    if (!next.instance_list.some(instance => instance.instance_number === number)) next.instance_list.push(newInstance(number, next.generation, now))
  }
  // What could not be placed may fit the new descriptor: it is a new request.
  for (const instance of next.instance_list) {
    if (instance.cluster_id === '' && instance.status !== 'REQUESTED') edit.move(instance, 'recalled', 'REQUESTED', null)
    instance.refusals = []
  }
  return edit.done()
}

/** Asks every cluster of the job to remove it; asked again, asks again those that refused. */
export function undeploying (job: Job, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  for (const entry of edit.job.retiring) {
    if (entry.error === null) continue
    Object.assign(entry, { command_id: edit.command(entry.cluster_id, 'delete'), error: null })
  }
  if (job.desired_state === 'undeployed') return edit.done()
  edit.job.desired_state = 'undeployed'
  edit.event('undeploying', `${job.job_name} is to be removed`)
  for (const [clusterId, placed] of byCluster(edit.job.instance_list)) {
    edit.retire(clusterId, placed.map(({ instance_number, instance_ip }) => ({ instance_number, instance_ip })), edit.command(clusterId, 'delete'))
  }
  edit.job.instance_list = []
  edit.job.status_reason = 'being removed: its clusters have not confirmed yet'
  finishUndeploy(edit)
  return edit.done()
}

/**
 * The scheduler found clusters for instances of this job. Only those that still have none are placed; the others
 * are told `failure`.
 */
export function placed (job: Job, { assignments, explanation, failure }: Extract<PlacementDecision, { kind: 'placed' }>, cause: string): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause)
  const before = byCluster(job.instance_list)
  const reached = new Set<ClusterId>()
  for (const { instance_number: number, cluster_id: clusterId } of assignments) {
    const instance = edit.job.instance_list.find(instance => instance.instance_number === number)
    if (!instance || instance.cluster_id !== '') continue
    instance.cluster_id = clusterId
    edit.move(instance, 'placed', 'CLUSTER_SCHEDULED')
    reached.add(clusterId)
  }
  if (reached.size === 0) return undefined
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== '') continue
    // Without a failure the rest waits for the figures of a cluster.
    if (failure) edit.move(instance, 'unplaceable', failure)
    instance.status_reason = explanation.summary
  }
  const after = byCluster(edit.job.instance_list)
  for (const clusterId of reached) {
    if (before.has(clusterId)) edit.command(clusterId, 'replicate', { replicas: after.get(clusterId)!.length })
    else edit.command(clusterId, 'deploy')
  }
  edit.job.explanation = explanation
  edit.event('placed', explanation.summary)
  return edit.done()
}

/**
 * No cluster can take the instances that have none: `status` says why. Asked again and again while nothing changes,
 * so the same verdict is not stored twice.
 */
export function unplaceable (job: Job, status: Status, explanation: Job['explanation'], cause: string): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause)
  const reason = explanation?.summary ?? null
  let moved = false
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== '') continue
    moved = edit.move(instance, 'unplaceable', status, reason) || moved
    instance.status_reason = reason
  }
  if (!moved && !isOutdated(job.explanation, explanation, edit.now)) return undefined
  edit.job.explanation = explanation
  edit.event('unplaceable', reason ?? status)
  return edit.done()
}

/** A cluster may take the job but has not told its figures yet: it stays as it is, and says so. */
export function waiting (job: Job, explanation: Job['explanation'], cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  if (job.desired_state !== 'running' || !isOutdated(job.explanation, explanation, edit.now)) return undefined
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id === '') instance.status_reason = explanation?.summary ?? null
  }
  edit.job.explanation = explanation
  edit.event('waiting', explanation?.summary ?? 'waiting for the figures of a cluster')
  return edit.done()
}

/** A new reason is worth a write when the kind of verdict changed, or the numbers in the sentence are old. */
function isOutdated (kept: Job['explanation'], found: Job['explanation'], now: string): boolean {
  if (!kept || !found || kept.outcome !== found.outcome) return true
  return kept.summary !== found.summary && Date.parse(now) - Date.parse(kept.decided_at) > EXPLANATION_AGE_MS
}

/** True when a cluster's word on its instances of a job would change this one. */
export function isNews (status: Status, told: Status): boolean {
  return mayBecome(status, 'reported', reportedStatus(told))
}

/** A cluster's word, in a heartbeat, on the instances of this job that are placed on it. */
export function reported (job: Job, clusterId: ClusterId, told: Status): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  const reason = told === 'UNDEPLOYED' ? 'the cluster says it is undeployed, which was not asked for' : null
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId || instance.awaits !== null) continue
    edit.move(instance, 'reported', reportedStatus(told), reason)
  }
  return edit.done()
}

/**
 * Where a cluster runs its instances, matched by instance_number (contract section 2).
 * @param clusterId The cluster that said it, when the message came over its own channel: it speaks for its own instances only.
 */
export function detailed (job: Job, result: DeployResult, clusterId?: ClusterId): JobChange | undefined {
  const edit = editJob(job, clusterId ? clusterCause(clusterId) : 'cluster')
  for (const told of result.instances) {
    const instance = edit.job.instance_list.find(instance => instance.instance_number === told.instance_number)
    if (!instance || instance.cluster_id === '' || (clusterId !== undefined && instance.cluster_id !== clusterId)) continue
    const details = {
      namespace_ip: told.namespace_ip ?? instance.namespace_ip,
      host_ip: told.host_ip ?? instance.host_ip,
      host_port: String(told.host_port ?? instance.host_port)
    }
    const { namespace_ip, host_ip, host_port } = instance
    if (!isDeepStrictEqual(details, { namespace_ip, host_ip, host_port })) {
      Object.assign(instance, details)
      edit.event('details', `instance ${told.instance_number} runs at ${details.host_ip}:${details.host_port}`, { instance_number: told.instance_number, cluster_id: instance.cluster_id })
    }
    if (instance.awaits === null) edit.move(instance, 'started', 'DEPLOYED')
  }
  return edit.done()
}

/** A cluster durably took a command: what it was to remove is gone, and its word counts again. */
export function acknowledged (job: Job, clusterId: ClusterId, commandId: string): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  for (const instance of edit.job.instance_list) {
    if (instance.awaits !== commandId) continue
    instance.awaits = null
    edit.event('acknowledged', `instance ${instance.instance_number}: the cluster took the new descriptor`, { instance_number: instance.instance_number, cluster_id: clusterId })
  }
  const gone = edit.job.retiring.find(entry => entry.command_id === commandId)
  if (gone) {
    edit.job.retiring = edit.job.retiring.filter(entry => entry !== gone)
    edit.event('retired', `the cluster removed ${instances(gone.instances.length)}`, { cluster_id: clusterId })
    finishUndeploy(edit)
  }
  return edit.done()
}

/**
 * A cluster refused a command. For lack of a worker, its instances are placed anew and the cluster is not asked again
 * for a while; for any other reason they stay FAILED, since the next cluster would be told the same.
 */
export function refused (job: Job, clusterId: ClusterId, command: Command, error: string): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  edit.event('refused', `${command.kind} was refused: ${error}`, { cluster_id: clusterId })
  const entry = edit.job.retiring.find(entry => entry.command_id === command.command_id)
  if (entry) {
    entry.error = error
    if (edit.job.desired_state === 'undeployed') edit.job.status_reason = `being removed: the cluster refused: ${error}`
  }
  if (command.kind === 'delete') return edit.done()

  const lacksRoom = CLUSTER_REFUSALS.find(status => error.includes(status))
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId || (command.kind === 'replicate' && instance.status !== 'CLUSTER_SCHEDULED')) continue
    edit.move(instance, 'refused', lacksRoom ?? 'FAILED', `the cluster refused: ${error}`)
    // An instance that was only to be renewed still runs there, as it was before.
    const renewing = instance.awaits === command.command_id
    if (renewing) instance.awaits = null
    if (renewing || lacksRoom === undefined) continue
    instance.refusals = [...instance.refusals, { cluster_id: clusterId, at: edit.now, error }].slice(-MAX_REFUSALS)
    unplace(instance)
  }
  return edit.done()
}

/** A cluster was forgotten: its instances are placed anew, and what it was still to remove is gone with it. */
export function clusterLost (job: Job, clusterId: ClusterId, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId) continue
    edit.move(instance, 'recalled', 'REQUESTED', 'its cluster was deleted')
    unplace(instance)
  }
  const remaining = edit.job.retiring.filter(entry => entry.cluster_id !== clusterId)
  if (remaining.length < edit.job.retiring.length) {
    edit.job.retiring = remaining
    edit.event('retired', 'the cluster was deleted', { cluster_id: clusterId })
    finishUndeploy(edit)
  }
  return edit.done()
}

function unplace (instance: Instance): void {
  Object.assign(instance, { cluster_id: '', namespace_ip: '', host_ip: '', host_port: '', awaits: null })
}

/** The end of a job: no cluster holds anything of it, its addresses go back to the pool. */
function finishUndeploy (edit: ReturnType<typeof editJob>): void {
  const { job } = edit
  if (job.desired_state !== 'undeployed' || job.retiring.length > 0) return
  Object.assign(job, { status: 'UNDEPLOYED', status_reason: null, service_ip_list: [], instance_list: [] })
  edit.event('undeployed', `${job.job_name} is gone, its addresses are free`)
}

const clusterCause = (clusterId: ClusterId): string => `cluster ${clusterId}`
const instances = (count: number): string => `${count} instance${count === 1 ? '' : 's'}`
