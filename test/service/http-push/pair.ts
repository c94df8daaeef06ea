import type { Test } from 'tap'
import { startChannel, until, type ChannelServer } from '../channel/channel-server.js'
import { register } from '../channel/peer.js'
import { registerOverSocketIo, startClusterManager, type ClusterManager } from './cluster-manager.js'

/** A System Manager and a cluster manager that has registered with it over Socket.IO. */
export interface Pair {
  server: ChannelServer
  manager: ClusterManager
  /** Of the cluster. */
  id: string
}

/** @param cs1 Goes into the registration as it is. */
export async function startPair (t: Test, settings: Parameters<typeof startChannel>[1] = {}, cs1: Record<string, unknown> = {}): Promise<Pair> {
  const server = await startChannel(t, settings)
  const manager = await startClusterManager(t)
  return { server, manager, id: await registerOverSocketIo(server.port, { cluster_name: 'hpi', manager_port: manager.port, ...cs1 }) }
}

/** The same of a new agent, which advertises an address and whose channel is closed. */
export async function startAgentPair (t: Test, settings: Parameters<typeof startChannel>[1] = {}): Promise<Pair> {
  const server = await startChannel(t, settings)
  const manager = await startClusterManager(t)
  const peer = await register(t, server.channel, { manager_port: manager.port, advertise_address: '127.0.0.1' })
  peer.close()
  await until(async () => !(await server.cluster(peer.id)).connected)
  return { server, manager, id: peer.id }
}

/** Waits until every command to the cluster is settled. */
export async function settled (server: ChannelServer, id: string): Promise<void> {
  await until(async () => (await server.pending(id)).length === 0, 'the outbox to be empty')
}

/** The id of the job that a call of POST /api/deploy is about. */
export const deployed = ({ body }: { body: string }): string => JSON.parse(body)._id
