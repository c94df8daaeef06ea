import { createHash } from 'node:crypto'
import { MAX_REPEATS, type Job } from '../../../schemas/job.js'
import { type JobEvent } from '../../../schemas/job-event.js'

/** What users asked for, and ends: each time is told, and begins a new chapter. */
const CHAPTERS: readonly JobEvent['type'][] = [
  'deployed',
  'updated',
  'scaled',
  'moving',
  'undeploying',
  'undeployed',
  'rolled_out',
  'rolled_back',
  'gave_up',
  'adopted'
]

/** Verdicts, whose figures change with each heartbeat. */
const VERDICTS: readonly JobEvent['type'][] = ['unplaceable', 'waiting']

const TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/g

/**
 * Notes that something happened to a job once more. A job that flaps for weeks would fill its history with the same few
 * sentences: of these only the 1st, 2nd, 4th, 8th … time is told.
 * @returns What the event says of its repetition; undefined when this time is not told.
 */
export function noteRepetition (
  job: Job,
  now: string,
  event: Pick<JobEvent, 'type' | 'message' | 'instance_number' | 'cluster_id'>
): Pick<JobEvent, 'count' | 'since'> | undefined {
  if (CHAPTERS.includes(event.type)) {
    job.repeats = []
    return {}
  }
  const key = keyOf(event)
  const { count, since } = job.repeats.find(repeat => repeat.key === key) ?? { count: 0, since: now }
  const repeat = { key, count: count + 1, since }
  job.repeats = [...job.repeats.filter(other => other.key !== key), repeat].slice(-MAX_REPEATS)
  if (repeat.count === 1) return {}
  return Number.isInteger(Math.log2(repeat.count)) ? { count: repeat.count, since } : undefined
}

/** Equal for events that say the same. */
function keyOf (
  { type, message, instance_number: number, cluster_id: clusterId }: Pick<
    JobEvent,
    'type' | 'message' | 'instance_number' | 'cluster_id'
  >
): string {
  const sentence = message.replaceAll(TIME, '')
  const said = VERDICTS.includes(type) ? withoutFigures(sentence) : sentence
  return createHash('sha256').update(JSON.stringify([type, number, clusterId, said])).digest('base64url').slice(0, 12)
}

/** A sentence without its figures and times: two that differ in these only say the same. */
export function withoutFigures (sentence: string): string {
  return sentence.replaceAll(TIME, '').replaceAll(/\d+(\.\d+)?/g, '#')
}
