import { isDeepStrictEqual } from 'node:util'
import { IsStandardObject } from '@sinclair/typebox/value'
import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Descriptor } from '../../../../schemas/descriptor.js'
import type { Job } from '../../../../schemas/job.js'
import type { FieldChange } from '../../../../schemas/plan.js'
import { fieldName, type Path } from '../../../../descriptor/positions.js'
import { numbersOf, successorOf } from '../../state-machine/instances.js'

type Fields = Record<string, unknown>

interface On {
  instance_number: number
  cluster_id: ClusterId
}

/** How the instances differ between two states of a job. */
export interface Difference {
  placed: On[]
  moved: Array<{ instance_number: number, from: ClusterId, to: ClusterId | null }>
  renewed: On[]
  removed: On[]
  waiting: number[]
}

/** How the instances of a job change. `before` is undefined for a new job. */
export function instancesChanged (before: Job | undefined, after: Job): Difference {
  const difference: Difference = { placed: [], moved: [], renewed: [], removed: [], waiting: [] }
  const isUpdate = before !== undefined && after.rollout !== null &&
    after.rollout.started_at !== before.rollout?.started_at
  const numbers = new Set([...before ? numbersOf(before) : [], ...numbersOf(after)])
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const had = before?.instance_list.filter(entry => entry.instance_number === number && entry.cluster_id !== '') ?? []
    const has = after.instance_list.filter(entry => entry.instance_number === number)
    if (has.length === 0) {
      difference.removed.push(...had.map(({ cluster_id }) => ({ instance_number: number, cluster_id })))
    }
    for (const entry of has) {
      const { cluster_id: to, move } = entry
      const stood = had.find(({ cluster_id: id }) => id === to)
      const from = move?.from ?? had[0]?.cluster_id
      if (stood) {
        if (isUpdate && stood.generation < after.generation && !successorOf(after, entry)) {
          difference.renewed.push({ instance_number: number, cluster_id: to })
        }
        continue
      }
      if (from !== undefined) difference.moved.push({ instance_number: number, from, to: to || null })
      else if (to !== '') difference.placed.push({ instance_number: number, cluster_id: to })
      if (to === '') difference.waiting.push(number)
    }
  }
  return difference
}

/** The fields in which a new descriptor differs from the job's. If it names no `replicas` or `RR_ip`, these stay. */
export function fieldsChanged ({ descriptor: before, replicas }: Job, descriptor: Descriptor): FieldChange[] {
  const kept = { replicas, ...(before.RR_ip !== undefined && { RR_ip: before.RR_ip }) }
  return changesBetween({ ...before, ...kept }, { ...kept, ...descriptor }, [])
}

function changesBetween (before: Fields, after: Fields, path: Path): FieldChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(key => {
    const [from, to] = [before[key], after[key]]
    if (isDeepStrictEqual(from, to)) return []
    if (IsStandardObject(from) && IsStandardObject(to)) return changesBetween(from, to, [...path, key])
    return [{ path: fieldName([...path, key]), ...(from !== undefined && { from }), ...(to !== undefined && { to }) }]
  })
}
