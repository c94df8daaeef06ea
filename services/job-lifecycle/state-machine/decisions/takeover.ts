import type { Cluster } from '../../../../schemas/cluster.js'
import { takeoverOf } from '../../../../schemas/cluster-facts.js'
import type { Job } from '../../../../schemas/job.js'
import type { JobChange } from '../../../../stores/store.js'
import { editJob } from '../job-change.js'

/** Another machine, perhaps, took over the name of a cluster: what it reports of this job may be another one's. */
export function takenOver (
  job: Job,
  { id, cluster_name: name, takeover }: Pick<Cluster, 'id' | 'cluster_name' | 'takeover'>,
  at = new Date()
): JobChange | undefined {
  if (!takeover || !job.instance_list.some(entry => entry.cluster_id === id)) return undefined
  const edit = editJob(job, 'system', at)
  const how = takeoverOf(takeover)
  edit.event('taken_over', `${name} may be two machines: ${how} while the name was in use`, { cluster_id: id })
  return edit.done()
}
