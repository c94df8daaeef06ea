import { Type, type Static } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import { Command, Frame } from '../schemas/channel.js'
import { Count, HexId } from '../schemas/primitives.js'

/** `sc2`: the cluster is registered (contract section 5). */
const Registered = Type.Object({
  id: HexId,
  heartbeat_interval_s: Type.Number({ exclusiveMinimum: 0 }),
  resumed: Type.Boolean(),
  next_seq: Count()
})
export type Registered = Static<typeof Registered>

/** `resync`: all jobs that this cluster should run. The documents are checked one by one where they are used. */
const Resync = Type.Object({ next_seq: Count(), jobs: Type.Array(Type.Unknown()) })
export type Resync = Static<typeof Resync>

const Refused = Type.Object({ code: Type.String(), message: Type.String(), event: Type.Optional(Type.String()) })

/** Data of each event that the System Manager may send, by name. */
const serverEvents = {
  sc1: Type.Object({ protocol: Type.Integer() }),
  sc2: Registered,
  command: Command,
  resync: Resync,
  error: Refused
}

type ServerEvents = typeof serverEvents
export type ServerFrame = { [E in keyof ServerEvents]: { event: E, data: Static<ServerEvents[E]> } }[keyof ServerEvents]

const isFrame = TypeCompiler.Compile(Frame)
const checks = new Map<string, TypeCheck<ServerEvents[keyof ServerEvents]>>(
  Object.entries(serverEvents).map(([event, schema]) => [event, TypeCompiler.Compile(schema)])
)

/** Reads a text frame of the System Manager. Returns one sentence about a frame that breaks the contract. */
export function readServerFrame (text: unknown): ServerFrame | string {
  if (typeof text !== 'string') return 'a frame is not text'
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    return `a frame is not JSON: ${text.slice(0, 100)}`
  }
  if (!isFrame.Check(frame)) return `a frame has no event: ${text.slice(0, 100)}`
  const check = checks.get(frame.event)
  if (!check) return `the event ${frame.event} is unknown`
  const error = check.Errors(frame.data).First()
  if (error) return `${frame.event}${error.path.replaceAll('/', '.')}: ${error.message}`
  return frame as ServerFrame
}
