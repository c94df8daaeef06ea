import type { ClusterId } from '../../../schemas/cluster.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Instance, Job } from '../../../schemas/job.js'
import type { JobChange } from '../../../stores/store.js'
import { newInstance, successorOf } from '../instances.js'
import { editJob, type JobEdit } from '../job-edit.js'
import { rememberRefusal } from '../refusals.js'

export interface MoveWish {
  /** Clusters that the instances are to leave. */
  from: ReadonlySet<ClusterId>
  /** Instances that are meant; undefined: all that are there. */
  numbers?: ReadonlySet<number>
  /** Location or name of where they are to go; null: where the descriptor says. */
  location: string | null
  why: NonNullable<Instance['move']>['why']
  /** `start-first`: the old one goes when the new one runs. `stop-first`: the new one comes when the old one is gone. */
  order: 'start-first' | 'stop-first'
}

/** Has instances leave their clusters for others; they take their addresses along. */
export function moved (job: Job, { from, numbers, location, why, order }: MoveWish, cause: string): JobChange | undefined {
  if (job.desired_state !== 'running') return undefined
  const edit = editJob(job, cause)
  for (const entry of [...edit.job.instance_list]) {
    const { instance_number: number, cluster_id: clusterId } = entry
    if (!from.has(clusterId) || (numbers && !numbers.has(number))) continue
    const earlier = successorOf(edit.job, entry)
    if (earlier?.location === location && earlier.move?.why === why) continue
    // Where it was still on its way to somewhere else, that was a mistake.
    if (earlier) edit.drop(earlier)
    if (order === 'stop-first') {
      edit.recall(entry, 'removed-first')
      edit.move(entry, 'recalled', 'REQUESTED', 'to be moved: its cluster was told to remove it first')
      entry.location = location
    } else {
      edit.job.instance_list.push(newInstance(number, edit.job.generation, edit.now, {
        instance_ip: entry.instance_ip, location, move: { from: clusterId, why, since: edit.now }
      }))
    }
    edit.event('moving', `instance ${number} is to leave ${clusterId}${location ? ` for ${location}` : ''}, ${order}`, { instance_number: number, cluster_id: clusterId })
  }
  return edit.done()
}

/** Gives a move up: what was started at its target is removed, the source runs on. */
export function giveUpMove (edit: JobEdit, entry: Instance, source: Instance, why: string): void {
  edit.drop(entry)
  if (entry.cluster_id !== '') {
    rememberRefusal(entry, why, edit.now)
    source.refusals = [...source.refusals, ...entry.refusals.slice(-1)]
  }
  edit.event('move_failed', `instance ${entry.instance_number} stays on ${source.cluster_id}: ${why}`, { instance_number: entry.instance_number, cluster_id: source.cluster_id })
}

/** Calls off moves away from a cluster that is not to be emptied any more, as far as they have not found another place. */
export function drainEnded (job: Job, clusterId: ClusterId, cause: string): JobChange | undefined {
  const edit = editJob(job, cause)
  for (const entry of [...edit.job.instance_list]) {
    if (entry.move?.why !== 'drain' || entry.move.from !== clusterId || entry.cluster_id !== '') continue
    edit.drop(entry)
    edit.event('move_ended', `instance ${entry.instance_number} stays: its cluster takes instances again`, { instance_number: entry.instance_number, cluster_id: clusterId })
  }
  return edit.done()
}

/** Has a cluster move what it runs of the job from one of its worker nodes to another; a descriptor that pins the old node is brought along. */
export function movedBetweenNodes (job: Job, clusterId: ClusterId, from: string, to: string, cause: string): JobChange | undefined {
  if (job.desired_state !== 'running' || from === to || !job.instance_list.some(entry => entry.cluster_id === clusterId)) return undefined
  const edit = editJob(job, cause)
  edit.command(clusterId, 'move', { node_from: from, node_to: to })
  edit.job.descriptor = onNode(job.descriptor, from, to)
  edit.event('moving', `the cluster is to move it from worker node ${from} to ${to}`, { cluster_id: clusterId })
  return edit.done()
}

function onNode (descriptor: Descriptor, from: string, to: string): Descriptor {
  if (descriptor.node !== from) return descriptor
  return { ...descriptor, node: to, ...(descriptor.requirements && { requirements: { ...descriptor.requirements, node: to } }) }
}
