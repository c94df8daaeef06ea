import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Static } from '@sinclair/typebox'
import { clusterEvents, Frame } from '../../schemas/channel.js'

type Events = typeof clusterEvents
export type ClusterEvent = keyof Events

/** A frame of a cluster, checked. */
export type ClusterFrame = { [E in ClusterEvent]: { event: E, data: Static<Events[E]> } }[ClusterEvent]

/** What is wrong with a frame, for the `error` frame that answers it. */
export class FrameError extends Error {
  readonly code: string
  readonly event: string | undefined

  constructor (code: string, message: string, event?: string) {
    super(message)
    this.code = code
    this.event = event
  }
}

const envelope = TypeCompiler.Compile(Frame)
const checks = {
  cs1: TypeCompiler.Compile(clusterEvents.cs1),
  information: TypeCompiler.Compile(clusterEvents.information),
  nodes: TypeCompiler.Compile(clusterEvents.nodes),
  ack: TypeCompiler.Compile(clusterEvents.ack),
  nack: TypeCompiler.Compile(clusterEvents.nack),
  result: TypeCompiler.Compile(clusterEvents.result)
}

/** Reads a text frame of a cluster. Throws {@link FrameError}, naming the field and what was expected. */
export function readFrame (text: string): ClusterFrame {
  const frame = parse(text)
  if (!envelope.Check(frame)) throw new FrameError('frame_malformed', 'expected an object {"event": name, "data": object}')
  const { event, data } = frame
  if (!isClusterEvent(event)) throw new FrameError('event_unknown', `expected one of ${Object.keys(checks).join(', ')}, got ${JSON.stringify(event)}`, event)
  const check = checks[event]
  if (!check.Check(data)) {
    const error = check.Errors(data).First()
    throw new FrameError('data_invalid', `data${error?.path.replaceAll('/', '.') ?? ''}: ${error?.message ?? 'is not valid'}`, event)
  }
  return { event, data } as ClusterFrame
}

function isClusterEvent (event: string): event is ClusterEvent {
  return Object.hasOwn(checks, event)
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new FrameError('json_invalid', (err as Error).message)
  }
}
