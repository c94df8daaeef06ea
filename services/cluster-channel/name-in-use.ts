import type { Cluster, ClusterRegistration } from '../../schemas/cluster.js'
import type { OutboxStore } from '../../stores/store.js'
import type { ClusterRegistry } from '../cluster-registry/registry.js'
import type { Session, Sessions } from './sessions.js'

/** Milliseconds that the holder of a name has to answer a ping (contract section 5). */
const ANSWER_MS = 3000

/** Who speaks for the cluster that a newcomer presents itself as. */
export interface NameHolder {
  cluster: Cluster
  session: Session
  /** The newcomer has stored just what this session was sent, as the same machine has after a reconnect. */
  isSame: boolean
}

/**
 * The open session of this process, if any, that holds the name of a newcomer and answers a ping: it stays, unless the
 * newcomer may be the same machine (contract section 5). Sessions in other processes are replaced in any case.
 * @param patienceMs Milliseconds that the newcomer has to register.
 */
export async function nameHolder (
  { registry, sessions, outbox }: {
    registry: Pick<ClusterRegistry, 'named'>
    sessions: Pick<Sessions, 'of'>
    outbox: Pick<OutboxStore, 'position'>
  },
  { cluster_name: name, last_seq: lastSeq = 0 }: ClusterRegistration,
  patienceMs: number
): Promise<NameHolder | undefined> {
  const cluster = await registry.named(name)
  const session = cluster && sessions.of(cluster.id)
  if (!session || !await session.answers(Math.min(ANSWER_MS, patienceMs / 2))) return undefined
  const { acked, last } = await outbox.position(cluster.id)
  // It may have stored commands whose acknowledgement was lost.
  return { cluster, session, isSame: lastSeq >= acked && lastSeq <= last }
}
