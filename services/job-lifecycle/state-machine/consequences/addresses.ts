import type { Intents, JobEdit } from '../job-edit.js'

/** Frees what a cluster has yet to remove of its addresses: an instance that lives on elsewhere keeps its own. */
export function releaseAddresses (edit: JobEdit, intents: Pick<Intents, 'released'>): void {
  for (const entry of edit.job.retiring) {
    if (entry.released || !intents.released(entry)) continue
    Object.assign(entry, { released: true, instances: [] })
    edit.event('released', 'the cluster has not confirmed the removal, its addresses are free nevertheless', {
      cluster_id: entry.cluster_id
    })
  }
}
