import type { ClusterId } from '../../../schemas/cluster.js'

/** "1 instance", "3 instances". */
export const instances = (count: number): string => `${count} instance${count === 1 ? '' : 's'}`

/** How events name a cluster as their cause. */
export const clusterCause = (clusterId: ClusterId): string => `cluster ${clusterId}`
