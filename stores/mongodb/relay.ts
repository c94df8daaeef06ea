import type { ObjectId } from 'mongodb'
import type { ClusterId } from '../../schemas/cluster.js'
import { inBatches } from './batches.js'
import type { Draft } from './collections.js'
import type { Connection } from './connection.js'
import { isOutage } from './failures.js'
import { toObjectId } from './ids.js'
import { aboutJob } from './job-document.js'
import type { Outbox } from './outbox.js'

/** Brings commands from the documents of jobs, where they were stored along with what causes them, into the outbox. */
export interface Relay {
  /** Those of one job. Gives the clusters that have got some. */
  relay (jobId: string): Promise<ClusterId[]>
  /** Those that a process left behind when it ended. Gives the clusters that have got some. */
  relayLeft (): Promise<ClusterId[]>
}

/** Jobs relayed in one go. */
const MOST = 200

/**
 * Any process may relay any job at any time, several at the same time: a command keeps its id in the outbox, so that it
 * comes there once, and a draft is taken out of its job only when it is there. The outbox keeps what is settled for a
 * while (see maintenance.ts), which is longer than any relay takes: a slow one still finds its command there.
 */
export function createRelay ({ collections: { jobs }, documents }: Connection, outbox: Outbox): Relay {
  async function relayMany (ids: readonly ObjectId[]): Promise<Map<string, ClusterId[]>> {
    const found = await jobs.findMany({ _id: { $in: [...ids] } }, { projection: { 'system_manager.drafts': 1 } })
    const waiting = found.map(({ _id, system_manager: ours }) => ({ _id, drafts: ours?.drafts ?? [] })).filter((
      { drafts }
    ) => drafts.length > 0)

    const byCluster = new Map<ClusterId, Draft[]>()
    for (const draft of waiting.flatMap(({ drafts }) => drafts)) {
      const those = byCluster.get(draft.cluster_id)
      if (those) those.push(draft)
      else byCluster.set(draft.cluster_id, [draft])
    }
    await Promise.all([...byCluster].map(([clusterId, drafts]) => outbox.append(clusterId, drafts)))

    if (waiting.length > 0) {
      await jobs.bulkWrite(
        waiting.map(({ _id, drafts }) => {
          const last = drafts.length - 1
          // Exactly those that were read: one that was added meanwhile comes behind them, and then none is taken here.
          const filter = {
            _id,
            'system_manager.drafts': { $size: drafts.length },
            [`system_manager.drafts.${last}.command_id`]: drafts[last]!.command_id
          }
          return { updateOne: { filter, update: { $unset: { 'system_manager.drafts': '' } } } }
        }),
        { ordered: false }
      )
    }
    return new Map(
      waiting.map(({ _id, drafts }) => [_id.toHexString(), [...new Set(drafts.map(draft => draft.cluster_id))]])
    )
  }

  const relay = inBatches(async (ids: string[]) => {
    const reached = await relayMany(ids.map(toObjectId))
    return ids.map(id => reached.get(id) ?? [])
  }, MOST)

  return {
    relay,

    async relayLeft () {
      const left = await jobs.findMany({ 'system_manager.drafts.command_id': { $exists: true } }, {
        projection: { _id: 1 }
      })
      const reached = await Promise.all(left.map(({ _id }) =>
        relay(_id.toHexString()).catch((err: unknown) => {
          if (isOutage(err)) throw err
          documents.report(aboutJob({ _id }), err)
          return []
        })
      ))
      return reached.flat()
    }
  }
}
