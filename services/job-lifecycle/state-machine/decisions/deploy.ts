import { isDeepStrictEqual } from 'node:util'
import { ObjectId } from 'bson'
import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Descriptor } from '../../../../schemas/descriptor.js'
import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { callOffMove } from '../consequences/moves.js'
import { jobName } from '../../../../descriptor/name.js'
import { isUp, newInstance, sourceOf, successorOf } from '../instances.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'
import { rolloutOf, type Policy } from '../policy.js'
import { keepRevision, resize } from '../scaling.js'
import { instances } from '../wording.js'

/** A job that did not exist. */
export function created (descriptor: Descriptor, cause: string, at = new Date()): JobChange {
  const now = at.toISOString()
  const replicas = descriptor.replicas ?? 1
  const edit = editJob(
    {
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
      repeats: [],
      removals: [],
      explanation: null,
      rollout: null,
      revisions: [],
      due_at: null,
      fence: 0,
      generation: 1,
      revision: 0,
      created_at: now,
      updated_at: now
    },
    cause,
    at
  )
  edit.event('deployed', `${edit.job.job_name} was deployed, ${instances(replicas)}`)
  return edit.done()!
}

/**
 * Deploys a job again that is undeployed or being removed: under its id, by which its clusters know it, and with its
 * history (contract section 10). What clusters still have to remove of it stays in `retiring`.
 */
export function revived (job: Job, descriptor: Descriptor, cause: string, at = new Date()): JobChange {
  const edit = editJob(job, cause, at)
  const { job: next, now } = edit
  const replicas = descriptor.replicas ?? 1
  if (!isDeepStrictEqual(job.descriptor, descriptor)) keepRevision(next, cause, now)
  next.generation++
  const address = descriptor.RR_ip ?? job.service_ip_list[0]?.Address ?? ''
  Object.assign(next, {
    descriptor,
    desired_state: 'running',
    replicas,
    service_ip_list: [{ IpType: 'RR', Address: address }],
    instance_list: Array.from({ length: replicas }, (_, number) => newInstance(number, next.generation, now)),
    explanation: null,
    rollout: null
  } satisfies Partial<Job>)
  edit.event('deployed', `${next.job_name} was deployed again, ${instances(replicas)}`)
  return edit.done()!
}

export interface UpdateContext {
  policy: Policy
  cause: string
  /** Whether the new descriptor still allows an instance on this cluster. */
  mayStay (clusterId: ClusterId): boolean
}

/**
 * Updates a live job to another descriptor, instance by instance (see consequences/rollout.ts). Instances whose cluster
 * is no longer allowed are started elsewhere before they go; all keep their addresses. If the descriptor names no
 * `replicas`, their number stays.
 */
export function updated (
  job: Job,
  descriptor: Descriptor,
  { policy, cause, mayStay }: UpdateContext,
  at = new Date()
): JobChange | undefined {
  const replicas = descriptor.replicas ?? job.replicas
  const { replicas: _before, RR_ip: addressBefore, ...contentBefore } = job.descriptor
  const { replicas: _wanted, RR_ip: address, ...content } = descriptor
  const contentChanged = !isDeepStrictEqual(contentBefore, content)
  const addressChanged = address !== undefined && address !== addressBefore
  if (!contentChanged && !addressChanged && replicas === job.replicas) return undefined

  const edit = editJob(job, cause, at)
  const { job: next } = edit
  if (addressChanged) next.service_ip_list = [{ IpType: 'RR', Address: address }]
  if (contentChanged || addressChanged) {
    keepRevision(next, cause, edit.now)
    next.generation++
  }
  next.descriptor = descriptor
  edit.event(
    'updated',
    `generation ${next.generation}${replicas === job.replicas
? ''
: `, ${instances(replicas)} instead of ` +
      `${job.replicas}`}`
  )
  next.replicas = replicas
  if (contentChanged) startRollout(edit, job, policy, mayStay)
  // What runs the descriptor before runs this one: no cluster can tell them apart.
  else {
    for (const entry of next.instance_list) {
      if (entry.generation === job.generation) entry.generation = next.generation
    }
  }
  resize(edit)
  askAnew(edit)
  return edit.done()
}

function startRollout (
  edit: JobEdit,
  { generation: before, descriptor: descriptorBefore, rollout }: Job,
  policy: Policy,
  mayStay: UpdateContext['mayStay']
): void {
  const { job, now } = edit
  const { maxUnavailable, maxSurge, deadlineMs, autoRollback } = rolloutOf(job.descriptor, policy)
  for (const entry of job.instance_list.filter(entry => entry.move?.why === 'update')) {
    const source = sourceOf(job, entry)
    // What an earlier update sent away may stay now.
    if (source && mayStay(source.cluster_id)) callOffMove(edit, entry, source)
  }
  for (const entry of [...job.instance_list]) {
    // A descriptor that names another place overrides an earlier move.
    if (job.descriptor.cluster_location !== descriptorBefore.cluster_location) entry.location = null
    if (entry.cluster_id === '') {
      entry.generation = job.generation
    } else if (!mayStay(entry.cluster_id)) {
      const successor = successorOf(job, entry)
      if (successor?.move) {
        // A move that a user asked for may fail and leave it there; this one may not.
        if (successor.move.why === 'asked') successor.move.why = 'update'
        continue
      }
      // What does not run needs no successor before it goes.
      if (!isUp(entry)) {
        edit.recall(entry, 'removed', 'its cluster no longer matches the descriptor')
        continue
      }
      job.instance_list.push(newInstance(entry.instance_number, job.generation, now, {
        instance_ip: entry.instance_ip,
        move: { from: entry.cluster_id, why: 'update', since: now }
      }))
    }
  }
  job.rollout = {
    // After an update that was only half done, a rollback goes back to what was there before both.
    from_generation: rollout && !rollout.rollback ? rollout.from_generation : before,
    started_at: now,
    deadline_at: new Date(Date.parse(now) + deadlineMs).toISOString(),
    max_unavailable: maxUnavailable,
    max_surge: Math.min(maxSurge, job.replicas),
    auto_rollback: autoRollback,
    rollback: false
  }
}

/** What found no place or did not start may do so with the new descriptor: its attempts and refusals begin anew. */
function askAnew (edit: JobEdit): void {
  for (const entry of edit.job.instance_list) {
    if (entry.cluster_id === '') edit.move(entry, 'recalled', 'REQUESTED')
    // Otherwise the next reason for giving up would repeat this one.
    if (entry.given_up) entry.status_reason = 'to be tried again'
    Object.assign(entry, { refusals: [], attempts: 0, given_up: false })
  }
}

/** Brings back an earlier descriptor of a job, in an update like any other. The number of instances stays. */
export function rolledBackTo (
  job: Job,
  descriptor: Descriptor,
  context: UpdateContext,
  at = new Date()
): JobChange | undefined {
  const { replicas: _then, ...content } = descriptor
  return updated(job, { ...content, replicas: job.replicas } as Descriptor, context, at)
}
