import type { ClusterId } from '../../schemas/cluster.js'
import type { ClusterStore } from '../../stores/store.js'
import type { Committer } from './commit.js'
import { forgotten } from './state-machine/decisions/cluster-loss.js'

/**
 * To call once instances were placed on these clusters: one that was deleted meanwhile would keep them for ever. Who
 * deletes a cluster looks for its instances after that; who places some looks for the cluster after that.
 */
export async function forgetDeleted (
  { clusters, committer }: { clusters: Pick<ClusterStore, 'get' | 'getMany'>, committer: Pick<Committer, 'changeOn'> },
  ids: Iterable<ClusterId>
): Promise<void> {
  const missing = new Set(ids)
  if (missing.size === 0) return
  for (const { id } of await clusters.getMany([...missing])) missing.delete(id)
  for (const id of missing) {
    // One that cannot be read is not deleted.
    const isDeleted = await clusters.get(id).then(cluster => cluster === undefined, () => false)
    if (isDeleted) await committer.changeOn(id, job => forgotten(job, id, 'system'))
  }
}
