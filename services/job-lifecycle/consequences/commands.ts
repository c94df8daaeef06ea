import type { Job } from '../../../schemas/job.js'
import { byCluster } from '../instances.js'
import type { Intents, JobEdit } from '../job-edit.js'

/**
 * What the clusters of a job have to be told, from the difference between what they were to run and what they are to
 * run now. One command says it all to a cluster, since its instances are those that the job document lists for it:
 * - `deploy` to one that had none, or that is to bring some to another descriptor;
 * - `replicate` to one that is to have others or fewer than before, with their number;
 * - `delete` to one that is to have none.
 *
 * What a cluster is to remove stays in `retiring`, with its address, until it has confirmed.
 */
export function tellClusters (original: Job, edit: JobEdit, intents: Intents): void {
  const { job } = edit
  const before = byCluster(original.instance_list)
  const after = byCluster(job.instance_list)

  for (const clusterId of new Set([...before.keys(), ...after.keys()])) {
    if (intents.forgotten.has(clusterId)) continue
    const had = before.get(clusterId) ?? []
    const has = after.get(clusterId) ?? []
    const left = had.filter(({ instance_number: number }) => !has.some(entry => entry.instance_number === number) && !intents.gone.has(`${number} ${clusterId}`))
    const came = has.some(({ instance_number: number }) => !had.some(entry => entry.instance_number === number))
    const renewed = has.filter(entry => intents.renewed.has(entry))

    let commandId: string
    if (has.length === 0) {
      if (left.length === 0) continue
      commandId = edit.command(clusterId, 'delete')
    } else if (renewed.length > 0 || intents.resent.has(clusterId) || had.length === 0) {
      commandId = edit.command(clusterId, 'deploy')
    } else if (came || left.length > 0) {
      commandId = edit.command(clusterId, 'replicate', { replicas: has.length })
    } else {
      continue
    }

    for (const entry of renewed) entry.awaits = commandId
    if (left.length > 0) {
      const instances = left.map(({ instance_number, instance_ip }) => ({ instance_number, instance_ip }))
      job.retiring.push({ command_id: commandId, cluster_id: clusterId, instances, error: null })
      edit.event('retiring', `${clusterId} is to remove ${instances.length === 1 ? `instance ${left[0]!.instance_number}` : `${instances.length} instances`}`, { cluster_id: clusterId })
      for (const [instance, removedBy] of intents.waiting) {
        if (removedBy === clusterId) instance.awaits = commandId
      }
    }
  }
}
