import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'
import { resize } from '../scaling.js'
import { instances } from '../wording.js'

/** Another number of instances in all; 0 leaves the job with none. */
export function scaled (job: Job, replicas: number, cause: string, at = new Date()): JobChange | undefined {
  if (job.desired_state !== 'running' || replicas === job.replicas) return undefined
  const edit = editJob(job, cause, at)
  edit.event('scaled', `${instances(replicas)} instead of ${job.replicas}`)
  edit.job.replicas = replicas
  resize(edit)
  return edit.done()
}
