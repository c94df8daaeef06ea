import { hostPortsOf } from '../../schemas/job-facts.js'
import type { HostPortUse, JobStore, NamespaceUse } from '../store.js'
import type { BoundedCollections } from './collections.js'

/** What all jobs together take. */
export function createJobSums (
  jobs: BoundedCollections['jobs']
): Pick<JobStore, 'reserved' | 'hostPorts' | 'used'> {
  return {
    async reserved () {
      const sums = new Map<string, { cpu: number, memory: number }>()
      const found = await jobs.findMany({ 'system_manager.on_the_way.cluster_id': { $exists: true } }, {
        projection: { 'system_manager.on_the_way': 1 }
      })
      for (
        const { cluster_id: clusterId, cpu, memory } of found.flatMap(({ system_manager: ours }) =>
          ours?.on_the_way ?? []
        )
      ) {
        const sum = sums.get(clusterId) ?? { cpu: 0, memory: 0 }
        sums.set(clusterId, { cpu: sum.cpu + cpu, memory: sum.memory + memory })
      }
      return sums
    },

    async used (appNs) {
      const [sums] = await jobs.aggregateMany<NamespaceUse>([
        { $match: { app_ns: appNs, status: { $ne: 'UNDEPLOYED' } } },
        {
          $group: {
            _id: null,
            jobs: { $sum: 1 },
            addresses: { $sum: { $size: { $ifNull: ['$system_manager.addresses', []] } } }
          }
        }
      ])
      return { jobs: sums?.jobs ?? 0, addresses: sums?.addresses ?? 0 }
    },

    async hostPorts () {
      // Of the field that the original writes as well. "8080:80" has a port of the host, 80 has none.
      const found = await jobs.findMany({ port: /:/, 'instance_list.cluster_id': { $gt: '' } }, {
        projection: { port: 1, protocol: 1, 'instance_list.cluster_id': 1 }
      })
      const counts = new Map<string, HostPortUse>()
      for (const document of found) {
        const hostPort = hostPortsOf(document as object).join(';')
        const list = Array.isArray(document.instance_list) ? document.instance_list : []
        for (const { cluster_id: clusterId } of hostPort === '' ? [] : list as Array<{ cluster_id?: unknown }>) {
          if (typeof clusterId !== 'string' || clusterId === '') continue
          const key = `${clusterId} ${hostPort}`
          const { instances } = counts.get(key) ?? { instances: 0 }
          counts.set(key, { cluster_id: clusterId, host_port: hostPort, instances: instances + 1 })
        }
      }
      return [...counts.values()]
    }
  }
}
