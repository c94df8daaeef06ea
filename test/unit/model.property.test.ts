import { mock } from 'node:test'
import fc from 'fast-check'
import t from 'tap'
import { rest, step, take, type Step } from './model/steps.js'
import { runs } from '../../schemas/job-facts.js'
import { World } from './model/world.js'
import { USER } from '../support/user.js'

/** Turns within which all has to converge: hours, since a flapping cluster is held back for so long. */
const ROUNDS = 400
/** Deploys of a user who sees what was given up. */
const MENDINGS = 6

async function play (steps: readonly Step[]): Promise<World> {
  const world = await World.begin()
  for (const step of steps) {
    await take(world, step)
    world.check()
  }
  return world
}

/** What is not as it is to be in the end. */
function unrest (world: World): string[] {
  const found: string[] = []
  const say = (condition: boolean, text: string) => { if (condition) found.push(text) }
  for (const job of world.jobs) {
    const { job_name: name, descriptor, rollout, retiring, due_at: dueAt, instance_list: list } = job
    say(rollout !== null, `${name} is being updated`)
    say(retiring.length > 0, `${name} has something to remove`)
    say(dueAt !== null, `${name} is due at ${dueAt}`)
    if (job.desired_state === 'undeployed') say(job.status !== 'UNDEPLOYED', `${name} is not undeployed`)
    for (const entry of list) {
      const { instance_number: number, status, move, generation } = entry
      say(!runs(entry) || move !== null || generation !== job.generation, `${name} ${number} is ${status}`)
    }
    for (const { model } of world.members) {
      const there = model.jobs.get(job.id) ?? new Map()
      const listed = list.filter(entry => entry.cluster_id === model.id).map(entry => entry.instance_number)
      say(
        [...there.keys()].sort().join() !== listed.sort().join(),
        `${model.id} runs ${[...there.keys()]} of ${name} instead of ${listed}`
      )
      say(
        [...there.values()].some(
          ({ image, status }) => image !== descriptor.image || status !== (model.isOriginal ? 'DEPLOYED' : 'RUNNING')
        ),
        `${model.id} does not run ${descriptor.image}`
      )
    }
  }
  for (const { cluster_name: name, lost_at: lostAt, unknown_jobs: unknown } of world.store.allClusters) {
    say(lostAt !== null, `${name} is lost since ${lostAt}`)
    say(unknown.length > 0, `${name} runs what it was not asked to run`)
  }
  for (const { model } of world.members) say(world.store.pending(model.id).length > 0, `${model.id} has commands to take`)
  return found
}

/** What fails goes on failing until it is given up, and its cluster goes on restarting it. */
async function giveUp (world: World): Promise<void> {
  if (!world.jobs.some(({ desired_state: desired, descriptor: { image } }) => desired === 'running' && world.failing(image))) return
  for (let rests = 0; rests < 6; rests++) await rest(world, 125)
  for (const member of world.members) {
    member.model.climb(world.failing)
    await world.heartbeat(member)
  }
  world.check()
}

async function converge (world: World): Promise<void> {
  for (const member of world.members) {
    await world.comeBack(member, 'all')
    await world.manager.operators.uncordon(member.model.id, USER)
  }
  await giveUp(world)
  world.failing = () => false
  let mendings = 0
  for (let round = 0; round < ROUNDS; round++) {
    await rest(world, round < 60 ? 15 : 60)
    world.check()
    if (unrest(world).length === 0) return
    // What was given up for good waits for its user, who deploys it again.
    for (const job of world.jobs.filter(({ instance_list: list }) => list.some(entry => entry.given_up))) {
      if (mendings++ >= MENDINGS) continue
      await world.manager.users.deploy([{ ...job.descriptor, image: `mended-${mendings}` }], USER)
    }
  }
  throw new Error(unrest(world).join('; '))
}

/** What random steps have found once. */
const FOUND: Step[][] = [
  // A cluster that lost its containers in the middle of an update started the newer descriptor from a resync as the
  // earlier one; after the rollback nobody knew.
  [
    { do: 'deploy', name: 'one', more: { image: 'v1', cluster_location: 'south' } },
    { do: 'rest', seconds: 15 },
    { do: 'rest', seconds: 15 },
    { do: 'deploy', name: 'one', more: { image: 'broken', cluster_location: 'north' } },
    { do: 'die', cluster: 2 },
    { do: 'come back', cluster: 2, having: 'nothing-but-resync' },
    { do: 'climb', cluster: 2 }
  ],
  // An original cluster that has not heard of the new start yet says DEPLOYED of the one that it has removed.
  [
    { do: 'cordon', cluster: 2 },
    { do: 'deploy', name: 'one', more: { image: 'v1', cluster_location: 'south' } },
    { do: 'rest', seconds: 15 },
    { do: 'rest', seconds: 15 },
    { do: 'undeploy', name: 'one', force: false },
    { do: 'rest', seconds: 15 },
    { do: 'deploy', name: 'one', more: { image: 'v1', cluster_location: 'south' } },
    { do: 'place' },
    { do: 'heartbeat', cluster: 3 }
  ],
  // A job was placed on a cluster while that was deleted, and left it something to remove for ever.
  [
    { do: 'deploy', name: 'one', more: { image: 'v1' } },
    { do: 'place' },
    { do: 'restart' },
    {
      do: 'at once',
      steps: [
        { do: 'forget', cluster: 0 },
        { do: 'former leader' },
        { do: 'deploy', name: 'one', more: { image: 'v1' } }
      ]
    },
    { do: 'maintain' },
    { do: 'move', name: 'one', to: 'north', number: undefined, order: 'start-first' },
    { do: 'restart' },
    { do: 'rest', seconds: 15 }
  ],
  // What a cluster left out of its reports in the middle of an update was taken for down, and taken down.
  [
    { do: 'deploy', name: 'one', more: { image: 'v1' } },
    { do: 'place' },
    { do: 'rest', seconds: 15 },
    { do: 'deploy', name: 'one', more: { image: 'v1', rollout: { max_surge: 1 } } },
    { do: 'deliver', cluster: 0, answer: 'ack' },
    { do: 'old heartbeat', cluster: 0, age: 1 },
    { do: 'old heartbeat', cluster: 0, age: 1 }
  ]
]

const RANDOM_SEED = Date.now() % 0x7fffffff

for (const [what, seed, numRuns] of [['', 42, 500], [' (a new seed each time)', RANDOM_SEED, 150]] as const) {
  t.test(`whatever happens, the invariants hold, and when it is over each instance runs exactly once${what}`, { timeout: 120_000 }, async t => {
    mock.timers.enable({ apis: ['Date'] })
    t.teardown(() => mock.timers.reset())
    const steps = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' })
    const examples = FOUND.map((steps): [Step[]] => [steps])
    const property = fc.asyncProperty(steps, async steps => converge(await play(steps)))
    await fc.assert(property, { seed, numRuns, examples })
  })
}
