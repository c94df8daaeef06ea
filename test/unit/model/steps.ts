import fc from 'fast-check'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import { sampleDescriptor } from '../state-machine/sample.js'
import { CLUSTERS, type Member, type World } from './world.js'
import { USER } from '../../support/user.js'

/** Something that happens to the world, as data, so that a counterexample can be read and shrunk. */
export type Step =
  | { do: 'deploy', name: string, more: Partial<Descriptor> }
  | { do: 'scale', name: string, replicas: number }
  | { do: 'move', name: string, to: string, number: number | undefined, order: 'start-first' | 'stop-first' }
  | { do: 'roll back', name: string }
  | { do: 'undeploy', name: string, force: boolean }
  | { do: 'drain' | 'uncordon' | 'cordon' | 'die' | 'forget' | 'heartbeat' | 'climb', cluster: number }
  | { do: 'come back', cluster: number, having: Parameters<World['comeBack']>[1] }
  | { do: 'deliver', cluster: number, answer: Parameters<World['deliver']>[1] }
  | { do: 'old heartbeat', cluster: number, age: number }
  | { do: 'stop', cluster: number, status: 'FAILED' | 'DEAD', most: number }
  | { do: 'ghost', cluster: number }
  | { do: 'rest' | 'wait', seconds: number }
  | { do: 'place' | 'maintain' | 'restart' | 'former leader' }
  | { do: 'at once', steps: Step[] }

/** Errors for those who ask for what cannot be, or speak for a cluster that was just deleted. */
const REFUSED = ['instance_not_found', 'revision_not_found', 'address_taken', 'job_not_running', 'cluster_not_found']

const name = fc.constantFrom('one', 'two')
const cluster = fc.nat(CLUSTERS.length - 1)
const place = fc.constantFrom('north', 'south', 'a')
const image = fc.constantFrom('v1', 'v2', 'v3', 'broken')
const rollout = fc.record({
  max_unavailable: fc.nat(2), max_surge: fc.nat(2), deadline_s: fc.constantFrom(60, 600), auto_rollback: fc.boolean()
}, { requiredKeys: [] })
const more: fc.Arbitrary<Partial<Descriptor>> = fc.record({
  image, replicas: fc.nat(4), cluster_location: place, failover: fc.constant('any' as const), RR_ip: fc.constantFrom('172.30.99.1', '172.30.99.2'), placement: fc.constant('pack' as const), rollout
}, { requiredKeys: ['image'] })
const kind = <T extends string>(...kinds: T[]) => fc.constantFrom(...kinds)

const single: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: kind('deploy'), name, more }) },
  { weight: 2, arbitrary: fc.record({ do: kind('scale'), name, replicas: fc.nat(4) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: kind('move'),
      name,
      to: place,
      number: fc.option(fc.nat(3), { nil: undefined }),
      order: kind('start-first', 'stop-first')
    })
  },
  { weight: 1, arbitrary: fc.record({ do: kind('roll back'), name }) },
  { weight: 1, arbitrary: fc.record({ do: kind('undeploy'), name, force: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: kind('drain', 'uncordon', 'cordon'), cluster }) },
  { weight: 2, arbitrary: fc.record({ do: kind('die', 'forget'), cluster }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: kind('come back'), cluster, having: kind('all', 'nothing', 'nothing-but-resync') })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: kind('deliver'),
      cluster,
      answer: kind('ack', 'ack-twice', 'lost-ack', 'no-room', 'refused', 'refused-but-done')
    })
  },
  { weight: 6, arbitrary: fc.record({ do: kind('heartbeat', 'climb'), cluster }) },
  { weight: 1, arbitrary: fc.record({ do: kind('old heartbeat'), cluster, age: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: kind('stop'),
      cluster,
      status: kind('FAILED', 'DEAD'),
      most: fc.constantFrom(1, Infinity)
    })
  },
  { weight: 1, arbitrary: fc.record({ do: kind('ghost'), cluster }) },
  { weight: 4, arbitrary: fc.record({ do: kind('wait'), seconds: fc.constantFrom(1, 15, 50, 125, 310) }) },
  { weight: 5, arbitrary: fc.record({ do: kind('place') }) },
  { weight: 4, arbitrary: fc.record({ do: kind('maintain') }) },
  { weight: 4, arbitrary: fc.record({ do: kind('rest'), seconds: fc.constantFrom(15, 125) }) },
  { weight: 2, arbitrary: fc.record({ do: kind('restart', 'former leader') }) }
)

/** Several things that a System Manager does at the same time; none knows of the others. */
const atOnce: fc.Arbitrary<Step> = fc.record({ do: fc.constant('at once' as const), steps: fc.array(single.filter(({ do: what }) => !['rest', 'wait'].includes(what)), { minLength: 2, maxLength: 3 }) })

export const step: fc.Arbitrary<Step> = fc.oneof({ weight: 6, arbitrary: single }, { weight: 1, arbitrary: atOnce })

/** Does the step, which may be refused. */
export async function take (world: World, step: Step): Promise<void> {
  try {
    await tryTo(world, step)
  } catch (err) {
    if (!(err instanceof ApiError) || !REFUSED.includes(err.code)) throw err
  }
}

async function tryTo (world: World, step: Step): Promise<unknown> {
  const { manager: { users, operators } } = world
  const member = 'cluster' in step ? world.members[step.cluster]! : undefined
  const job = 'name' in step ? world.jobs.find(job => job.descriptor.service_name === step.name && job.desired_state === 'running') : undefined
  switch (step.do) {
    case 'deploy':
      return users.deploy(
        [sampleDescriptor({ requirements: { cpu: 1 }, service_name: step.name, ...step.more })],
        USER
      )
    case 'scale':
      return job && users.scale(job.id, step.replicas, USER)
    case 'move':
      return (
        job &&
        users.move(
          job.id,
          { to: step.to, order: step.order, ...(step.number !== undefined && { instanceNumber: step.number }) },
          USER
        )
      )
    case 'roll back':
      return job && users.rollBack(job.id, undefined, USER)
    case 'undeploy':
      return job && users.undeploy(job.id, USER, { force: step.force })
    case 'drain':
      return operators.drain(member!.model.id, USER)
    case 'uncordon':
      return operators.uncordon(member!.model.id, USER)
    case 'cordon':
      return operators.cordon(member!.model.id, USER)
    case 'die':
      member!.alive = false
      return
    case 'forget':
      return world.forget(step.cluster)
    case 'come back':
      return world.comeBack(member!, step.having)
    case 'deliver':
      return world.deliver(member!, step.answer)
    case 'heartbeat':
      return world.heartbeat(member!)
    case 'climb':
      return member!.model.climb(world.failing)
    case 'old heartbeat':
      return world.oldHeartbeat(member!, step.age)
    case 'stop':
      return [...member!.model.jobs.keys()].forEach(id => member!.model.stop(id, step.status, step.most))
    case 'ghost':
      return ghost(world, member!)
    case 'wait':
      return world.wait(step.seconds)
    case 'place':
      return world.manager.place()
    case 'maintain':
      return world.maintain()
    case 'rest':
      return rest(world, step.seconds)
    case 'restart':
      return world.restart()
    case 'at once':
      return Promise.all(step.steps.map(one => take(world, one)))
    case 'former leader':
      return world.former && (await world.maintain(world.former), await world.former.place())
  }
}

/** A while in which all that can be done is done. */
export async function rest (world: World, seconds: number): Promise<void> {
  world.wait(seconds)
  for (const member of world.members) {
    while (await world.deliver(member, 'ack'));
    if (member.alive) for (let climbs = 0; climbs < 2; climbs++) member.model.climb(world.failing)
    await world.heartbeat(member)
  }
  await world.maintain()
  await world.manager.place()
}

/** The cluster runs a job without a command, or after the command to remove it. */
function ghost (world: World, { model }: Member): void {
  // What an original cluster runs without a command, nobody can know of.
  if (model.isOriginal) return
  const job = world.jobs.find(({ id, instance_list: list }) => !model.jobs.has(id) && !list.some(entry => entry.cluster_id === model.id))
  if (!job) return
  world.excused.add(`${model.id} ${job.id}`)
  model.jobs.set(job.id, new Map([[0, { generation: 0, image: 'v0', status: 'RUNNING' }]]))
}
