import type { Command } from '../../../../schemas/channel.js'
import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import { CLUSTER_REFUSALS } from '../../../../schemas/status.js'
import { reasonIn } from '../../../../schemas/wording.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'
import { rememberRemoval } from '../old-words.js'
import { rememberRefusal } from '../refusals.js'
import { clusterCause, instances } from '../wording.js'

/** Milliseconds after a placement from which it counts when its cluster took the command. */
const LATE_MS = 5000

/**
 * A cluster acknowledged a command: what it had to remove is gone, and its reports count again. An original cluster
 * that has removed what is to be updated gets the newest descriptor now.
 */
export function acknowledged (
  job: Job,
  clusterId: ClusterId,
  commandId: string,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  const gone = edit.job.retiring.filter(entry => entry.command_id === commandId)
  let isUpdate = false
  for (const instance of edit.job.instance_list) {
    if (instance.awaits === null && instance.cluster_id === clusterId) countFromNow(edit, instance)
    if (instance.awaits !== commandId) continue
    if (instance.cluster_id === clusterId && gone.some(({ original }) => original)) {
      Object.assign(instance, { told: null, namespace_ip: '', host_ip: '', host_port: null })
      edit.bringBack(clusterId)
      isUpdate = true
      edit.event('acknowledged', `instance ${instance.instance_number}: the cluster removed the earlier one`, {
        instance_number: instance.instance_number,
        cluster_id: clusterId
      })
      continue
    }
    instance.awaits = null
    if (instance.cluster_id === '') continue
    instance.deadline_from = edit.now
    edit.event('acknowledged', `instance ${instance.instance_number}: the cluster acknowledged the newest descriptor`, {
      instance_number: instance.instance_number,
      cluster_id: clusterId
    })
  }
  if (gone.length > 0) {
    edit.job.retiring = edit.job.retiring.filter(entry => !gone.includes(entry))
    for (const { told } of gone.filter(({ original }) => original)) rememberRemoval(edit, clusterId, told)
    const count = gone.flatMap(entry => entry.instances).length
    // Of what is updated there the event above says so.
    if (count > 0 || !isUpdate) {
      edit.event('retired', `the cluster removed ${instances(count)}`, { cluster_id: clusterId })
    }
  }
  return edit.done()
}

/**
 * A command is about to be called at an original cluster that has removed the job before. From now on what it says may
 * be about the new start; its answer, and its `result`, may be stored in any order.
 */
export function sending (job: Job, clusterId: ClusterId, commandId: string, at = new Date()): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId || instance.awaits !== commandId) continue
    Object.assign(instance, { awaits: null, deadline_from: edit.now })
    edit.event('delivery', `instance ${instance.instance_number}: the cluster is given the command`, {
      instance_number: instance.instance_number,
      cluster_id: clusterId
    })
  }
  return edit.done()
}

/**
 * The deadline of what a cluster has only now heard of begins now. Soon after the placement it makes no difference that
 * is worth a write.
 */
function countFromNow (edit: JobEdit, instance: Instance): void {
  const { status, status_since: since, deadline_from: from = since, instance_number: number } = instance
  if (status !== 'CLUSTER_SCHEDULED' || Date.parse(edit.now) - Date.parse(from) < LATE_MS) return
  instance.deadline_from = edit.now
  const lateS = Math.round((Date.parse(edit.now) - Date.parse(since)) / 1000)
  edit.event('acknowledged', `instance ${number}: the cluster took the command ${lateS} s after the placement`, {
    instance_number: number,
    cluster_id: instance.cluster_id
  })
}

/**
 * A cluster refused a command. If it lacks a worker, the instances that the command brought are placed anew, and the
 * scheduler passes over the cluster for a while. For any other reason they stay FAILED there until their deadline: the
 * next cluster would get the same command. An instance that was to be renewed still runs there as before, and the
 * reports of the cluster go on being about that.
 */
export function refused (
  job: Job,
  clusterId: ClusterId,
  command: Command,
  error: string,
  at = new Date()
): JobChange | undefined {
  const { command_id: commandId, kind } = command
  const reason = reasonIn(error)
  const edit = editJob(job, clusterCause(clusterId), at)
  edit.event('refused', `${kind} was refused: ${reason}`, { cluster_id: clusterId })
  for (const entry of edit.job.retiring) {
    if (entry.command_id !== commandId) continue
    Object.assign(entry, { error: reason, refused_at: edit.now })
    if (edit.job.desired_state === 'running') continue
    edit.job.status_reason = `being removed: the cluster refused: ${reason}`
  }
  // What waits for the removal would wait for ever.
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id === '' && instance.awaits === commandId) instance.awaits = null
  }
  if (kind === 'move') return edit.done()

  const lacksCapacity = CLUSTER_REFUSALS.find(status => error.includes(status))
  for (const instance of [...edit.job.instance_list]) {
    // What the cluster has begun with came with an earlier command, what awaits another command with a later one.
    if (
      instance.cluster_id !== clusterId || instance.status !== 'CLUSTER_SCHEDULED' ||
      !(instance.awaits === commandId || (instance.awaits === null && kind !== 'delete'))
    ) continue
    edit.move(instance, 'refused', lacksCapacity ?? 'FAILED', `the cluster refused: ${reason}`)
    const isRenewal = kind !== 'replicate' && instance.awaits === commandId
    if (isRenewal || lacksCapacity === undefined) continue
    rememberRefusal(instance, reason, edit.now)
    // The cluster gets a command to remove it all the same: a later one on its way there may still list it.
    edit.recall(instance, 'removed')
  }
  return edit.done()
}
