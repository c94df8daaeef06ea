import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Job } from '../../../../schemas/job.js'
import { byCluster } from '../instances.js'
import type { Intents, JobEdit } from '../job-edit.js'

/**
 * The commands for the clusters of a job, from the difference between what each should run before and after. A cluster
 * needs one command only, since the job document lists all that it should run:
 * - `deploy` to a cluster that had no instance, or that has to update some;
 * - `replicate` to a cluster that gets other or fewer instances than before, with their number;
 * - `delete` to a cluster that keeps none.
 *
 * An original cluster cannot change what runs there (contract section 10): it gets a `delete`, and once it has removed
 * that, a `deploy`.
 *
 * What a cluster has to remove stays in `retiring`, with its address, until the cluster acknowledges the removal.
 */
export function tellClusters (original: Job, edit: JobEdit, intents: Intents): void {
  const { job } = edit
  const before = byCluster(original.instance_list)
  const after = byCluster(job.instance_list)

  for (const clusterId of new Set([...before.keys(), ...after.keys(), ...intents.resent])) {
    if (intents.forgotten.has(clusterId)) continue
    const had = before.get(clusterId) ?? []
    const has = after.get(clusterId) ?? []
    const left = had.filter(({ instance_number: number }) => !has.some(entry => entry.instance_number === number))
    const came = has.filter(({ instance_number: number }) => !had.some(entry => entry.instance_number === number))
    const renewed = has.filter(entry => intents.renewed.has(entry))
    const isResent = intents.resent.has(clusterId)
    const isBack = intents.broughtBack.has(clusterId)
    const isOriginal = [...had, ...has].some(entry => entry.original)
    const again = job.retiring.filter(entry => entry.cluster_id === clusterId && entry.error !== null)
    const isChanged = came.length > 0 || left.length > 0 || renewed.length > 0 || (isResent && again.length > 0)
    const isRemovedFirst = isOriginal && had.length > 0 && has.length > 0 && isChanged

    let commandId: string
    if (has.length === 0 || isRemovedFirst) {
      commandId = edit.command(clusterId, 'delete')
    } else if (had.length === 0 || renewed.length > 0 || isResent || isBack) {
      commandId = edit.command(clusterId, 'deploy', removedAt(job, clusterId))
    } else if (came.length > 0 || left.length > 0) {
      commandId = edit.command(clusterId, 'replicate', { replicas: has.length })
    } else {
      continue
    }

    // A cluster reports one status for all that it runs of a job. Until it acknowledges the command, that is about what
    // ran before; an original cluster says so long after that is gone.
    const awaiting = isResent ? has.filter(entry => entry.awaits !== null) : []
    const concerned = isOriginal ? has : [...came, ...renewed, ...awaiting]
    const isToldAnew = isOriginal
      ? isBack || isRemovedFirst || job.removals.some(entry => entry.cluster_id === clusterId)
      : had.length > 0
    for (const entry of isToldAnew ? concerned : []) entry.awaits = commandId

    // This command also asks again for what it refused to remove, but for the deploy of an original cluster.
    for (const entry of isOriginal && isBack ? [] : again) Object.assign(entry, { command_id: commandId, error: null })
    if (left.length === 0 && (again.length > 0 || (has.length > 0 && !isRemovedFirst))) continue
    const instances = left.map(({ instance_number, instance_ip }) => ({ instance_number, instance_ip }))
    job.retiring.push({
      command_id: commandId,
      cluster_id: clusterId,
      instances,
      error: null,
      since: edit.now,
      released: false,
      original: isOriginal,
      told: had.find(entry => entry.told !== null)?.told ?? null
    })
    if (left.length > 0) {
      edit.event(
        'retiring',
        `${clusterId} is to remove ` +
          `${left.length === 1 ? `instance ${left[0]!.instance_number}` : `${left.length} instances`}`,
        { cluster_id: clusterId }
      )
    }
    for (const [instance, removedBy] of intents.waiting) {
      if (removedBy === clusterId) instance.awaits = commandId
    }
  }
}

/** An original cluster cannot stand a deploy soon after a delete of the same job (contract section 2). */
function removedAt ({ removals }: Job, clusterId: ClusterId): { removed_at?: string } {
  const removal = removals.findLast(entry => entry.cluster_id === clusterId)
  return removal ? { removed_at: removal.at } : {}
}
