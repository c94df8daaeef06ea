import { isDeepStrictEqual } from 'node:util'
import type { ClusterId } from '../../../../schemas/cluster.js'
import type { DeployResult } from '../../../../schemas/deploy-result.js'
import type { Instance, Job } from '../../../../schemas/job.js'
import { hasBegun, runs } from '../../../../schemas/job-facts.js'
import { toPort } from '../../../../schemas/primitives.js'
import { WAY_UP, type Status } from '../../../../schemas/status.js'
import type { JobChange } from '../../../../stores/store.js'
import { readInstanceWord, wordOn, type Word } from '../../../../schemas/words.js'
import { editJob } from '../job-change.js'
import type { JobEdit } from '../job-edit.js'
import { isOldWord, rememberWord } from '../old-words.js'
import { mayBecome, reportedStatus } from '../transitions.js'
import { clusterCause } from '../wording.js'

/**
 * Whether a cluster's report may change an instance of this status. Quick, for the path of the heartbeats: only the job
 * itself says for sure.
 */
export function changesStatus (status: Status, told: Status): boolean {
  return mayBecome({ status, given_up: false, original: false }, 'reported', reportedStatus(told))
}

/** A cluster said in a heartbeat how the instances of this job are that are placed on it. */
export function reported (job: Job, clusterId: ClusterId, word: Word, at = new Date()): JobChange | undefined {
  const edit = editJob(job, clusterCause(clusterId), at)
  for (const instance of edit.job.instance_list) {
    if (instance.cluster_id !== clusterId) continue
    const told = wordOn(word, instance.instance_number)
    if (told) takeWord(edit, instance, told, word.instances !== undefined)
  }
  return edit.done()
}

/** @param apart Whether the cluster speaks of this instance, and not of all those of the job there. */
function takeWord (
  edit: JobEdit,
  instance: Instance,
  { status, reason }: { status: Status, reason: string | null },
  apart: boolean
): void {
  // It was not sent what it is to run now.
  if (instance.awaits !== null && instance.original) rememberWord(edit, instance.cluster_id, status)
  if (instance.awaits !== null || isOldWord(edit.job, instance, status)) return
  const why = status === 'UNDEPLOYED' ? 'the cluster reports it as undeployed, without a command' : reason
  if (!edit.move(instance, 'reported', reportedStatus(status), why)) return
  Object.assign(instance, { told: status, told_apart: apart, silent: false })
  if (runs(instance)) instance.attempts = 0
}

/**
 * Where a cluster runs its instances, matched by instance_number (contract section 2).
 * @param clusterId The sender, when the message came over its own channel: it speaks for its own instances only.
 */
export function detailed (
  job: Job,
  result: DeployResult,
  clusterId?: ClusterId,
  at = new Date()
): JobChange | undefined {
  const edit = editJob(job, clusterId ? clusterCause(clusterId) : 'cluster', at)
  for (const told of result.instances) {
    const instance = meant(edit.job.instance_list, told.instance_number, clusterId)
    if (!instance) {
      noteStartOfRemoved(edit, told.instance_number, clusterId)
      continue
    }
    // It is late, and about what the cluster was told to remove.
    if (instance.original && instance.awaits !== null) continue
    const details = {
      namespace_ip: told.namespace_ip ?? instance.namespace_ip,
      host_ip: told.host_ip ?? instance.host_ip,
      host_port: toPort(told.host_port) ?? instance.host_port
    }
    const { namespace_ip, host_ip, host_port } = instance
    if (instance.told === null || !isDeepStrictEqual(details, { namespace_ip, host_ip, host_port })) {
      Object.assign(instance, details)
      const { host_ip: host, host_port: port } = details
      edit.event('details', `instance ${told.instance_number} runs at ${host}${port === null ? '' : `:${port}`}`, {
        instance_number: told.instance_number,
        cluster_id: instance.cluster_id
      })
    }
    instance.told ??= 'DEPLOYED'
    const word = readInstanceWord(told)
    if (word) takeWord(edit, instance, word, true)
    // Where it runs is told once it is deployed, unless it has stopped since.
    if (word && !(WAY_UP as readonly Status[]).includes(word.status)) continue
    if (instance.awaits !== null || !edit.move(instance, 'started', 'DEPLOYED')) continue
    instance.told = 'DEPLOYED'
    if (runs(instance)) instance.attempts = 0
  }
  return edit.done()
}

/** It started on an original cluster after all, which has to remove it: a delete that fails there is not done. */
function noteStartOfRemoved (edit: JobEdit, number: number, clusterId: ClusterId | undefined): void {
  for (const entry of edit.job.retiring) {
    if (
      !entry.original || hasBegun(entry.told) || (clusterId !== undefined && entry.cluster_id !== clusterId) ||
      !entry.instances.some(instance => instance.instance_number === number)
    ) continue
    entry.told = 'DEPLOYED'
    edit.event('details', `instance ${number}, which the cluster is to remove, has started there`, {
      instance_number: number,
      cluster_id: entry.cluster_id
    })
  }
}

/** Over HTTP the sender is not known. Of an instance that moves, it means the end without host details. */
function meant (entries: Instance[], number: number, clusterId: ClusterId | undefined): Instance | undefined {
  const placed = entries.filter(entry =>
    entry.instance_number === number && entry.cluster_id !== '' &&
    (clusterId === undefined || entry.cluster_id === clusterId)
  )
  return placed.find(entry => entry.host_ip === '') ?? placed.at(-1)
}
