import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Descriptor } from '../../../../schemas/descriptor.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { callOffMove } from '../consequences/moves.js'
import { newInstance, sourceOf, successorOf } from '../instances.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'

export interface MoveOptions {
  /** Clusters that the instances are to leave. */
  from: ReadonlySet<ClusterId>
  /** Instances that are meant; undefined: all that are there. */
  numbers?: ReadonlySet<number>
  /** Location or name of where they are to go; null: where the descriptor says. */
  location: string | null
  why: NonNullable<Instance['move']>['why']
  /**
   * `start-first`: the old one goes when the new one runs. `stop-first`: the new one comes when the old one is gone.
   */
  order: 'start-first' | 'stop-first'
}

/** Has instances leave their clusters for others; they take their addresses along. */
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
      // It is only on its way here: who asks for a move means where it comes from.
      if (options.why === 'drain') edit.recall(entry, 'removed', 'the cluster that it was to move to is being drained')
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
      // It leaves already, and now cannot stay should that fail.
      earlier.move.why = 'drain'
      edit.event('moving', `instance ${number} has to leave ${clusterId}`, {
        instance_number: number,
        cluster_id: clusterId
      })
      return
    }
    if (earlier.location === location && order === 'start-first') return
    // Where it was still on its way to somewhere else, that was a mistake; what it has to leave for stays.
    why = earlier.move.why
    edit.drop(earlier)
  }
  if (order === 'stop-first') {
    // Nobody answers on a lost cluster.
    edit.recall(
      entry,
      entry.silent ? 'removed' : 'removed-first',
      'to be moved: its cluster was told to remove it first'
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

/**
 * Calls off moves away from a cluster that is not to be emptied any more, as far as they have not found another place.
 */
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
 * Has a cluster move what it runs of the job from one of its worker nodes to another; a descriptor that pins the old
 * node is brought along.
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
  if (descriptor.node !== from) return descriptor
  return {
    ...descriptor,
    node: to,
    ...(descriptor.requirements && { requirements: { ...descriptor.requirements, node: to } })
  }
}
