import type { Job } from '../../../schemas/job.js'
import type { JobChange } from '../../../stores/store.js'
import { releaseAddresses } from './consequences/addresses.js'
import { tellClusters } from './consequences/commands.js'
import { finishUndeploy, summarise } from './consequences/job-status.js'
import { completeMoves } from './consequences/moves.js'
import { continueRollout } from './consequences/rollout.js'
import { openEdit, type JobEdit } from './job-edit.js'

/** An edit that ends in a change. */
export interface JobDraft extends JobEdit {
  /** The change to commit, with all that follows from it; undefined when the edit changed nothing. */
  done (): JobChange | undefined
}

/**
 * Every decision edits the job. What follows from any change, whatever decision made it, follows here.
 * @param cause Who or what causes the change, for its events.
 */
export function editJob (original: Job, cause: string, at = new Date()): JobDraft {
  const { edit, events, commands, intents } = openEdit(original, cause, at)
  const { job, now } = edit
  return {
    ...edit,
    done () {
      if (job.desired_state === 'running') {
        completeMoves(edit)
        continueRollout(edit)
      }
      job.instance_list.sort((a, b) => a.instance_number - b.instance_number)
      tellClusters(original, edit, intents)
      releaseAddresses(edit, intents)
      if (!intents.touched && commands.length === 0) return undefined
      if (job.desired_state === 'running') summarise(job)
      else finishUndeploy(edit)
      job.updated_at = now
      return { job, events, commands }
    }
  }
}
