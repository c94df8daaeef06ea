import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Descriptor } from '../../../../schemas/descriptor.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { callOffMove } from '../consequences/moves.js'
import { newInstance, sourceOf, successorOf } from '../instances.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'

export interface MoveOptions {
  /** Clusters that the instances leave. */
  from: ReadonlySet<ClusterId>
  /** Numbers of the instances to move; undefined: all that are there. */
  numbers?: ReadonlySet<number>
  /** Location or name of the clusters to move to; null: where the descriptor says. */
  location: string | null
  why: NonNullable<Instance['move']>['why']
  /**
   * `start-first`: the source goes when the successor runs. `stop-first`: the source goes first.
   */
  order: 'start-first' | 'stop-first'
}

/** Moves instances from their clusters to others; they keep their addresses. */
export function moved (
  job: Job,
  { from, numbers, ...options }: MoveOptions,
  cause: string,
  at = new Date()
): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause, at)
  for (const entry of [...edit.job.instance_list]) {
    if (!from.has(entry.cluster_id) || (numbers && !numbers.has(entry.instance_number))) continue
    if (sourceOf(edit.job, entry)) {
      // It is only on its way here: a user who moves it means its source.
      if (options.why === 'drain') edit.recall(entry, 'removed', 'the cluster that it was to move to is being drained')
    } else if (options.why === 'drain' && entry.given_up) {
      // It does not run, so nothing has to replace it before it goes. Elsewhere it starts once more.
      edit.recall(entry, 'removed', 'its cluster is being drained')
    } else if (options.why !== 'drain' || entry.status !== 'COMPLETED') {
      leave(edit, entry, options)
    }
  }
  return edit.done()
}

function leave (
  edit: JobEdit,
  entry: Instance,
  { location, why, order }: Pick<MoveOptions, 'location' | 'why' | 'order'>
): void {
  const { instance_number: number, cluster_id: clusterId } = entry
  const earlier = successorOf(edit.job, entry)
  if (earlier?.move) {
    if (why === 'drain') {
      if (earlier.move.why !== 'asked') return
      // It leaves already; from now on it cannot stay if that fails.
      earlier.move.why = 'drain'
      edit.event('moving', `instance ${number} has to leave ${clusterId}`, {
        instance_number: number,
        cluster_id: clusterId
      })
      return
    }
    if (earlier.location === location && order === 'start-first') return
    // The new target replaces the one before; why it has to leave stays.
    why = earlier.move.why
    edit.drop(earlier)
  }
  if (order === 'stop-first') {
    // A lost cluster would not answer.
    edit.recall(
      entry,
      entry.silent ? 'removed' : 'removed-first',
      'to be moved: its cluster has to remove it first'
    )
    entry.location = location
  } else {
    edit.job.instance_list.push(newInstance(number, edit.job.generation, edit.now, {
      instance_ip: entry.instance_ip,
      location,
      move: { from: clusterId, why, since: edit.now }
    }))
  }
  edit.event('moving', `instance ${number} is to leave ${clusterId}${location ? ` for ${location}` : ''}, ${order}`, {
    instance_number: number,
    cluster_id: clusterId
  })
}

/** The drain of a cluster is over: calls off the moves away from it that have found no other place yet. */
export function drainEnded (job: Job, clusterId: ClusterId, cause: string, at = new Date()): JobChange | undefined {
  const edit = editJob(job, cause, at)
  for (const entry of [...edit.job.instance_list]) {
    const source = sourceOf(edit.job, entry)
    if (!source || entry.move?.why !== 'drain' || entry.move.from !== clusterId || entry.cluster_id !== '') continue
    const stays = callOffMove(edit, entry, source)
    edit.event(
      'move_ended',
      `instance ${entry.instance_number}: its cluster takes instances ` +
        `again${stays ? ', it stays' : ', but gives no sign of life'}`,
      { instance_number: entry.instance_number, cluster_id: clusterId }
    )
  }
  return edit.done()
}

/**
 * Commands a cluster to move what it runs of the job from one worker node to another. A descriptor that pins the old
 * node pins the new one from then on.
 */
export function movedBetweenNodes (
  job: Job,
  clusterId: ClusterId,
  from: string,
  to: string,
  cause: string,
  at = new Date()
): JobChange | undefined {
  if (
    job.desired_state !== 'running' || from === to || !job.instance_list.some(entry => entry.cluster_id === clusterId)
  ) return undefined
  const edit = editJob(job, cause, at)
  edit.command(clusterId, 'move', { node_from: from, node_to: to })
  edit.job.descriptor = onNode(job.descriptor, from, to)
  edit.event('moving', `the cluster is to move it from worker node ${from} to ${to}`, { cluster_id: clusterId })
  return edit.done()
}

function onNode (descriptor: Descriptor, from: string, to: string): Descriptor {
  // Both fields say the same (contract section 6).
  return descriptor.node === from
    ? { ...descriptor, node: to, requirements: { ...descriptor.requirements, node: to } }
    : descriptor
}
