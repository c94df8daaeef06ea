import { Worker, type Heartbeat } from '../../schemas/cluster.js'
import { freeFormWarning, isFreeForm } from '../../schemas/json-text.js'
import type { ClusterFigures } from '../../stores/store.js'

/** Characters that all workers together may have in fields that are not ours, as JSON. */
const MAX_OF_WORKERS = 256 * 1024

/** Most warnings about the figures of one heartbeat. */
const MAX_WARNINGS = 20

/**
 * The contract's names for the heartbeat's figures (section 7); what is missing or null stays as it was. A field of
 * content that is not ours is left out where it is too large or too deep, with a warning.
 */
export function figuresOf (body: Heartbeat): { figures: Omit<ClusterFigures, 'warnings'>, warnings: string[] } {
  const warnings: string[] = []
  const room = { bytes: MAX_OF_WORKERS }
  const isAccepted = (field: string, value: unknown, left = { bytes: Infinity }) => {
    if (isFreeForm(value) && (left.bytes -= JSON.stringify(value ?? null).length) >= 0) return true
    if (warnings.length < MAX_WARNINGS) warnings.push(freeFormWarning(field))
    return false
  }
  const figures: Record<keyof Omit<ClusterFigures, 'warnings'>, unknown> = {
    aggregated_cpu_percent: body.cpu_percent,
    total_cpu_cores: body.cpu_cores,
    aggregated_memory_percent: body.memory_percent,
    memory_in_mb: body.cumulative_memory_in_mb,
    active_nodes: body.number_of_nodes,
    technology: body.technology,
    workers: body.workers?.map((worker, index) => {
      const others = othersOf(worker)
      return others === undefined || isAccepted(`workers[${index}]`, others, room) ? worker : withoutOthers(worker)
    }),
    more: isAccepted('more', body.more) ? body.more : undefined
  }
  const told = Object.entries(figures).filter(([, value]) => value !== undefined && value !== null)
  return { figures: Object.fromEntries(told), warnings }
}

const isOurs = ([field]: [string, unknown]) => Object.hasOwn(Worker.properties, field)

/** The fields of a worker that are not ours. */
function othersOf (worker: Worker): Record<string, unknown> | undefined {
  const others = Object.entries(worker).filter(entry => !isOurs(entry))
  return others.length === 0 ? undefined : Object.fromEntries(others)
}

function withoutOthers (worker: Worker): Worker {
  return Object.fromEntries(Object.entries(worker).filter(isOurs)) as Worker
}
