import { Gauge, type Registry } from 'prom-client'
import type { Liveness } from '../cluster-registry/liveness.js'

/** What became of clusters that fell silent. */
export function measureEvictions (metrics: Registry, liveness: Pick<Liveness, 'vitals'>): void {
  const lost: Gauge<'eviction'> = new Gauge({
    name: 'edgeio_clusters_lost',
    help: 'Lost clusters: what they ran was started elsewhere (done), or that is held',
    labelNames: ['eviction'],
    registers: [metrics],
    collect () {
      const silent = liveness.vitals().filter(vitals => vitals.lost)
      const done = silent.filter(({ evicted }) => evicted).length
      lost.set({ eviction: 'done' }, done)
      lost.set({ eviction: 'held' }, silent.length - done)
    }
  })
}
