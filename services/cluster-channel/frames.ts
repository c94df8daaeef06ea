import type { Word } from './acknowledgements.js'
import type { Static } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import type { ValueError } from '@sinclair/typebox/errors'
import { clusterEvents, Frame } from '../../schemas/channel.js'
import { HEARTBEAT_BYTES, withNames } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import { MAX_LEVELS, parseJson } from '../../schemas/json-text.js'
import { complaintOf as wordsOf } from '../../schemas/wording.js'

type Events = typeof clusterEvents
type ClusterEvent = keyof Events

/** A frame of a cluster, checked. */
export type ClusterFrame = { [E in ClusterEvent]: { event: E, data: Static<Events[E]> } }[ClusterEvent]

/** Data of the event `error` (contract section 5). */
export interface Complaint {
  code: string
  /** Names the field and what was expected. */
  message: string
  /** The event that is complained about. */
  event?: string
}

const envelope = TypeCompiler.Compile(Frame)
const checks = new Map<string, TypeCheck<Events[ClusterEvent]>>(
  Object.entries(clusterEvents).map(([event, schema]) => [event, TypeCompiler.Compile(schema)])
)

const TOO_LARGE: Complaint = {
  code: 'frame_too_large',
  message: `expected at most ${HEARTBEAT_BYTES.least / 1024} KiB, and ${HEARTBEAT_BYTES.perInstance / 1024} KiB more ` +
    'for each instance that is placed on the cluster'
}

/**
 * Reads a frame, undefined for one that is not text. What breaks the contract comes back as the complaint about it.
 * @param mostBytes What its cluster may send; a large frame is not parsed before this is asked.
 */
export async function readFrame (
  text: string | undefined,
  mostBytes: () => Promise<number>
): Promise<ClusterFrame | Complaint> {
  if (text === undefined) return { code: 'frame_not_text', message: 'expected a text frame, got a binary one' }
  const size = Buffer.byteLength(text)
  // While the store cannot be asked, what the frame says fails by itself.
  if (size > HEARTBEAT_BYTES.least && size > await mostBytes().catch(() => HEARTBEAT_BYTES.most)) return TOO_LARGE
  try {
    return checkFrame(parseJson(text))
  } catch {
    return {
      code: 'json_invalid',
      message: `expected one JSON object {"event": name, "data": object} of at most ${MAX_LEVELS} levels`
    }
  }
}

/** Checks a frame however it came. */
export function checkFrame (frame: unknown): ClusterFrame | Complaint {
  if (!envelope.Check(frame)) {
    return { code: 'frame_malformed', message: 'expected an object {"event": name, "data": object}' }
  }
  const { event } = frame
  const isObject = typeof frame.data === 'object' && frame.data !== null && !Array.isArray(frame.data)
  const data = event === 'cs1' && isObject ? withNames(frame.data as object) : frame.data
  const check = checks.get(event)
  if (!check) {
    return {
      code: 'event_unknown',
      message: `expected one of ${[...checks.keys()].join(', ')}, got ${JSON.stringify(event)}`,
      event
    }
  }
  const error = check.Errors(data).First()
  if (error) return { code: 'data_invalid', message: complaintAbout(error), event }
  return { event, data } as ClusterFrame
}

/** The complaint about a frame that failed with this error; what is our own fault gives nothing away. */
export function complaintOf (err: unknown, event: string): Complaint {
  if (err instanceof ApiError) return { code: err.code, message: err.message, event }
  return { code: 'internal_error', message: 'something went wrong here; it has been logged', event }
}

/** One sentence; for a field that may be one thing or another, with all of them. */
function complaintAbout (error: ValueError): string {
  return `data${error.path.replaceAll('/', '.')}: ${wordsOf(error)}`
}

/** A frame that says something of jobs. */
export type WordFrame = Extract<ClusterFrame, { event: 'information' | 'result' | 'ack' }>

export function isWord (frame: ClusterFrame | Complaint): frame is WordFrame {
  return !('code' in frame) && ['information', 'result', 'ack'].includes(frame.event)
}

/** The same for those who take what a cluster says together. */
export function toWord (frame: WordFrame): Word {
  switch (frame.event) {
    case 'ack':
      return { ack: frame.data.seq }
    case 'result':
      return { result: frame.data }
    case 'information':
      return { heartbeat: frame.data }
  }
}
