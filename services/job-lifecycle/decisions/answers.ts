import type { Command } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'
import { CLUSTER_REFUSALS } from '../../../schemas/status.js'
import type { JobChange } from '../../../stores/store.js'
import { editJob } from '../job-edit.js'
import { rememberRefusal } from '../refusals.js'
import { clusterCause, instances } from '../wording.js'

/** A cluster durably took a command: what it was to remove is gone, and its word counts again. */
export function acknowledged (job: Job, clusterId: ClusterId, commandId: string): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  for (const instance of edit.job.instance_list) {
    if (instance.awaits !== commandId) continue
    instance.awaits = null
    if (instance.cluster_id === '') continue
    edit.event('acknowledged', `instance ${instance.instance_number}: the cluster took the new descriptor`, { instance_number: instance.instance_number, cluster_id: clusterId })
  }
  const gone = edit.job.retiring.find(entry => entry.command_id === commandId)
  if (gone) {
    edit.job.retiring = edit.job.retiring.filter(entry => entry !== gone)
    edit.event('retired', `the cluster removed ${instances(gone.instances.length)}`, { cluster_id: clusterId })
  }
  return edit.done()
}

/**
 * A cluster refused a command. For lack of a worker, its instances are placed anew and the cluster is not asked again
 * for a while; for any other reason they stay FAILED there, since the next cluster would be told the same, until their
 * deadline has them tried elsewhere.
 */
export function refused (job: Job, clusterId: ClusterId, command: Command, error: string): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId))
  edit.event('refused', `${command.kind} was refused: ${error}`, { cluster_id: clusterId })
  const entry = edit.job.retiring.find(entry => entry.command_id === command.command_id)
  if (entry) {
    entry.error = error
    if (edit.job.desired_state === 'undeployed') edit.job.status_reason = `being removed: the cluster refused: ${error}`
    // What waits for the removal would wait for ever.
    for (const instance of edit.job.instance_list) if (instance.cluster_id === '' && instance.awaits === command.command_id) instance.awaits = null
  }
  if (command.kind === 'delete' || command.kind === 'move') return edit.done()

  const lacksRoom = CLUSTER_REFUSALS.find(status => error.includes(status))
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId || (command.kind === 'replicate' && instance.status !== 'CLUSTER_SCHEDULED')) continue
    edit.move(instance, 'refused', lacksRoom ?? 'FAILED', `the cluster refused: ${error}`)
    // An instance that was only to be renewed still runs there, as it was before.
    const renewing = instance.awaits === command.command_id
    if (renewing) instance.awaits = null
    if (renewing || lacksRoom === undefined) continue
    rememberRefusal(instance, error, edit.now)
    edit.recall(instance, 'gone')
  }
  return edit.done()
}
