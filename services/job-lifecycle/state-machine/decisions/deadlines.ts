import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import { hasBegun } from '../../../../schemas/job-facts.js'
import type { JobChange } from '../../../../stores/store.js'
import { callOffMove } from '../consequences/moves.js'
import { deadlineAgain, rollBack } from '../consequences/rollout.js'
import { isToldApart, mayRun, sourceOf, successorOf } from '../instances.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'
import { mayRepeatOldWord } from '../old-words.js'
import { deadlineOf, type Policy } from '../policy.js'
import { rememberRefusal } from '../refusals.js'

/** So many times its deadline an instance has at most, however late its cluster hears of it. */
const MAX_WAITS = 5

/** The deadline of an instance, Unix milliseconds; Infinity for none. */
function deadlineAt (job: Job, entry: Instance, policy: Policy): number {
  const source = sourceOf(job, entry)
  // A move that a user asked for may fail. Any other has to end somewhere.
  const moveEnd = source && entry.move?.why === 'asked' ? Date.parse(entry.move.since) + policy.moveMs : Infinity
  if (entry.cluster_id === '' || entry.silent || entry.given_up || successorOf(job, entry)) return moveEnd
  // What it says is about the earlier one, however far it is with this one.
  const allowedMs = mayRepeatOldWord(job, entry) ? policy.startingMs : deadlineOf(entry, policy)
  if (allowedMs === undefined) return moveEnd
  const last = hasBegun(entry.told) ? Infinity : Date.parse(entry.status_since) + MAX_WAITS * allowedMs
  return Math.min(moveEnd, Date.parse(entry.deadline_from ?? entry.status_since) + allowedMs, last)
}

/** The instances that may run where they are although their deadline has passed. @param asOf Unix milliseconds. */
export function overdue (job: Job, policy: Policy, asOf: number): Instance[] {
  return job.desired_state === 'running'
    ? job.instance_list.filter(entry => mayRun(entry) && deadlineAt(job, entry, policy) <= asOf)
    : []
}

/** When to ask a cluster again that refused to remove something, Unix milliseconds. */
function askAgainAt ({ error, refused_at: refusedAt }: Job['retiring'][number], policy: Policy): number {
  return error === null || refusedAt === undefined ? Infinity : Date.parse(refusedAt) + policy.stoppedMs
}

/** When the addresses of what a cluster has to remove are free in any case, Unix milliseconds. */
function releaseAt ({ since, released }: Job['retiring'][number], policy: Policy): number {
  return released ? Infinity : Date.parse(since) + policy.addressHoldMs
}

/** The first deadline of a job, ISO time; null for none. */
export function dueAt (job: Job, policy: Policy): string | null {
  const times = job.retiring.flatMap(entry => [askAgainAt(entry, policy), releaseAt(entry, policy)])
  if (job.desired_state === 'running') {
    times.push(...job.instance_list.map(entry => deadlineAt(job, entry, policy)))
    if (job.rollout) times.push(Date.parse(job.rollout.deadline_at))
  }
  const first = Math.min(...times)
  return Number.isFinite(first) ? new Date(first).toISOString() : null
}

/**
 * A deadline of this job has passed: an instance that did not start is tried elsewhere, in the end given up with its
 * story; a move that a user asked for fails; an update is rolled back; a refused removal is asked for again.
 * @param asOf Unix milliseconds up to which deadlines have passed, by default the time `at` of the change.
 * @param placeless Numbers of the instances for which no other cluster has room now.
 * @param untaken Clusters that have yet to take a command about this job.
 * @param originals Original clusters of the job, also those that were none when it was placed there.
 */
export function expireDeadlines (
  job: Job,
  policy: Policy,
  cause: string,
  at = new Date(),
  { asOf = at.getTime(), placeless = new Set(), untaken = new Set(), originals = new Set() }: {
    asOf?: number
    placeless?: ReadonlySet<number>
    untaken?: ReadonlySet<ClusterId>
    originals?: ReadonlySet<ClusterId>
  } = {}
): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of edit.job.instance_list) {
    if (entry.original || !originals.has(entry.cluster_id)) continue
    entry.original = true
    edit.event('details', `instance ${entry.instance_number}: its cluster never says RUNNING, DEPLOYED is up there`, {
      instance_number: entry.instance_number,
      cluster_id: entry.cluster_id
    })
  }
  edit.release(entry => releaseAt(entry, policy) <= asOf)
  for (const entry of edit.job.retiring) {
    if (askAgainAt(entry, policy) > asOf) continue
    edit.resend(entry.cluster_id)
    edit.event('resent', `the cluster refused to remove it (${entry.error}): the removal is sent again`, {
      cluster_id: entry.cluster_id
    })
  }
  if (job.desired_state === 'running') {
    for (const entry of [...edit.job.instance_list]) {
      if (deadlineAt(edit.job, entry, policy) > asOf) continue
      if (untaken.has(entry.cluster_id) && mayWait(entry, policy, asOf)) waitForTaking(edit, entry)
      else passDeadline(edit, entry, policy, placeless.has(entry.instance_number))
    }
    const { rollout } = edit.job
    if (rollout && Date.parse(rollout.deadline_at) <= asOf) endRollout(edit, rollout)
  }
  return edit.done()
}

/**
 * Whether a cluster may still take its command. Its connection or the database may be slow; but a cluster that is alive
 * and never takes it must not keep the instance for ever.
 */
function mayWait (entry: Instance, policy: Policy, now: number): boolean {
  return entry.status === 'CLUSTER_SCHEDULED' && entry.move?.why !== 'asked' &&
    now < Date.parse(entry.status_since) + policy.scheduledMs * MAX_WAITS
}

function waitForTaking (edit: JobEdit, entry: Instance): void {
  entry.deadline_from = edit.now
  const { instance_number: number, cluster_id: clusterId } = entry
  edit.event('delivery', `instance ${number}: its cluster has not taken the command yet, and may still`, {
    instance_number: number,
    cluster_id: clusterId
  })
}

/** Rolls back, or takes as much time again: to stop halfway would leave two descriptors running. */
function endRollout (edit: JobEdit, rollout: NonNullable<Job['rollout']>): void {
  const why = `it did not get through all instances by ${rollout.deadline_at}`
  if (rollout.auto_rollback && rollBack(edit, rollout, why)) return
  rollout.deadline_at = deadlineAgain(rollout, edit.now)
  edit.event('rollout_late', `generation ${edit.job.generation} goes on, though ${why}`)
}

function passDeadline (edit: JobEdit, entry: Instance, policy: Policy, isPlaceless: boolean): void {
  const { instance_number: number, cluster_id: clusterId } = entry
  const source = sourceOf(edit.job, entry)
  const story = `${entry.status} since ${entry.status_since}${entry.status_reason ? ` (${entry.status_reason})` : ''}`
  if (source && entry.move?.why === 'asked') {
    giveUpMove(
      edit,
      entry,
      source,
      clusterId === ''
        ? `no place was found for it: ${entry.status_reason ?? entry.status}`
        : `at ${clusterId} it was ${story}`
    )
    return
  }
  entry.attempts++
  rememberRefusal(entry, `was ${story}`, edit.now)
  // What has to leave another cluster is never given up.
  if (entry.attempts >= policy.maxAttempts && !source) {
    const told = entry.refusals.slice(-policy.maxAttempts).map(({ cluster_id: at, error }) => `${at} ${error}`).join(
      '; '
    )
    const reason = `given up after ${entry.attempts} starts: ${told}`
    // It stays where it was tried last: if it runs there after all, that shows.
    if (!edit.move(entry, 'gave_up', 'FAILED', reason)) Object.assign(entry, { status_reason: reason, given_up: true })
    edit.event('gave_up', `instance ${number}: ${reason}`, { instance_number: number, cluster_id: clusterId })
    return
  }
  if (mayRun(entry) && (isPlaceless || !isToldApart(edit.job, entry))) return askAgain(edit, entry, story)
  edit.event(
    'retried',
    `instance ${number} was ${story}: it is tried elsewhere, start ` +
      `${entry.attempts + 1}${source ? '' : ` of ${policy.maxAttempts}`}`,
    { instance_number: number, cluster_id: clusterId }
  )
  edit.recall(entry, 'removed', `was ${story}: to be tried elsewhere`)
}

/** What may run is not removed while nobody else can run it, nor for a sibling that stopped. Its cluster is asked. */
function askAgain (edit: JobEdit, entry: Instance, story: string): void {
  entry.deadline_from = edit.now
  if (!entry.original || entry.status === 'CLUSTER_SCHEDULED') edit.resend(entry.cluster_id)
  const why = isToldApart(edit.job, entry)
    ? 'no other cluster has room for it'
    : 'its cluster has one word for all instances of the job that it runs'
  edit.event('resent', `instance ${entry.instance_number} was ${story}, and stays where it is: ${why}`, {
    instance_number: entry.instance_number,
    cluster_id: entry.cluster_id
  })
}

/** The successor is removed; the source runs on and says why. */
function giveUpMove (edit: JobEdit, entry: Instance, source: Instance, why: string): void {
  const about = { instance_number: entry.instance_number, cluster_id: source.cluster_id }
  if (callOffMove(edit, entry, source)) {
    source.status_reason = `a move failed: ${why}`
    edit.event('move_failed', `instance ${entry.instance_number} stays on ${source.cluster_id}: ${why}`, about)
  } else {
    edit.event(
      'moving',
      `instance ${entry.instance_number} may go elsewhere, since ${source.cluster_id} is lost: ${why}`,
      about
    )
  }
}
