import type { ClusterAddresses } from './addresses.js'
import type { Container } from './state-file.js'

/** Milliseconds from one status of a starting container to the next. */
export interface Delays {
  createMs: number
  startMs: number
}

/** The containers of a simulated cluster: their addresses, and their way up to RUNNING. */
export interface Containers {
  /** Creates a container on a worker, not yet started. `publishedPort` is the host port from the descriptor. */
  create (instanceNumber: number, worker: string, publishedPort: number | undefined): Container
  /** Takes over a container from before a restart. */
  adopt (container: Container): void
  /** Takes it from NODE_SCHEDULED through CREATED to RUNNING, and calls `onStatus` at each of them. */
  start (container: Container, onStatus: () => void): void
  /** Stops its way up: it keeps its status. */
  halt (container: Container): void
  /** Removes it and frees its addresses. */
  discard (container: Container): void
  haltAll (): void
}

/** The first host port given to containers. */
const FIRST_HOST_PORT = 50_000

export function createContainers (addresses: ClusterAddresses, { createMs, startMs }: Delays): Containers {
  const timers = new Map<Container, NodeJS.Timeout>()
  const hostPorts = new Set<string>()

  function halt (container: Container) {
    clearTimeout(timers.get(container))
    timers.delete(container)
  }

  return {
    create (instanceNumber, worker, publishedPort) {
      let port = publishedPort ?? FIRST_HOST_PORT
      while (hostPorts.has(`${worker}:${port}`)) port++
      const container: Container = {
        instance_number: instanceNumber,
        worker,
        status: 'NODE_SCHEDULED',
        namespace_ip: addresses.lease(),
        host_port: port,
        image: '',
        origin: ''
      }
      hostPorts.add(`${worker}:${port}`)
      return container
    },

    adopt (container) {
      addresses.claim(container.namespace_ip)
      hostPorts.add(`${container.worker}:${container.host_port}`)
    },

    start (container, onStatus) {
      halt(container)
      container.status = 'NODE_SCHEDULED'
      onStatus()
      timers.set(
        container,
        setTimeout(() => {
          container.status = 'CREATED'
          onStatus()
          timers.set(
            container,
            setTimeout(() => {
              timers.delete(container)
              container.status = 'RUNNING'
              onStatus()
            }, startMs)
          )
        }, createMs)
      )
    },

    halt,

    discard (container) {
      halt(container)
      addresses.release(container.namespace_ip)
      hostPorts.delete(`${container.worker}:${container.host_port}`)
    },

    haltAll () {
      for (const container of timers.keys()) halt(container)
    }
  }
}
