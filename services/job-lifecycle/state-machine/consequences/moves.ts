import type { Instance } from '../../../../schemas/job.js'
import { isUp, sourceOf } from '../instances.js'
import type { JobEdit } from '../job-edit.js'
import { failoverTargetOf } from '../failover-target.js'

/**
 * Ends the moves that are over: the successor runs, so the source goes; the source is gone; or a cluster that was lost
 * runs the instance again before the successor does.
 */
export function completeMoves (edit: JobEdit): void {
  const { job } = edit
  for (const entry of [...job.instance_list]) {
    const { move, instance_number: number } = entry
    if (move === null) continue
    const source = sourceOf(job, entry)
    if (!source) {
      Object.assign(entry, { move: null, attempts: 0 })
    } else if (isUp(entry)) {
      entry.move = null
      edit.drop(source)
      edit.event('moved', `instance ${number} runs on ${entry.cluster_id}, no longer on ${source.cluster_id}`, {
        instance_number: number,
        cluster_id: entry.cluster_id
      })
    } else if (move.why === 'failover' && isUp(source)) {
      edit.drop(entry)
      edit.event('move_ended', `instance ${number} stays: ${source.cluster_id} came back with it`, {
        instance_number: number,
        cluster_id: source.cluster_id
      })
    }
  }
}

/**
 * Calls a move off: the source stays. Where its cluster is lost, and the descriptor lets it go elsewhere, the move goes
 * on as a failover instead.
 * @returns Whether the source stays.
 */
export function callOffMove (edit: JobEdit, entry: Instance, source: Instance): boolean {
  const failoverTarget = source.silent ? failoverTargetOf(edit.job, source) : undefined
  if (!failoverTarget || !entry.move) {
    edit.drop(entry)
    return true
  }
  Object.assign(entry, failoverTarget)
  entry.move.why = 'failover'
  return false
}
