import { existsSync, statSync } from 'node:fs'
import { copyFile, open, rename } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../plugins/config.js'
import type { Config } from '../schemas/config.js'
import { askForBackup, backupSocketOf, writeBackup } from '../stores/sqlite/backup.js'
import { openConnection } from '../stores/sqlite/connection.js'
import { makeFolder, syncFolder } from '../stores/sqlite/folder.js'
import { damageIn, inspect } from '../stores/sqlite/inspection.js'
import { databaseIn, logOf, markerOf } from '../stores/sqlite/marker.js'

/** Commands on the files of the embedded database. Each gives what to tell the operator, or throws. */

type Settings = Pick<Config, 'DATA_DIR' | 'MONGO_URI' | 'CLOUD_MONGO_URL'>

/** Writes a consistent copy of the database into a file, also while a server has it open. */
export async function backupDatabase (settings: Settings, target: string): Promise<string> {
  const file = existing(settings)
  const copy = resolve(target)
  if (!await askForBackup(backupSocketOf(file), copy)) {
    const connection = await openConnection({ file })
    await writeBackup(connection.backup, copy).finally(() => connection.close())
  }
  checkPages(copy)
  return `${copy} has ${megabytes(copy)} MB and is in order`
}

/** Makes a backup the database. What was there before is put aside. */
export async function restoreDatabase (settings: Settings, source: string): Promise<string> {
  const file = fileOf(settings)
  checkPages(source)
  await makeFolder(dirname(file))
  const aside = await putAside(file)
  const draft = `${file}.partial`
  await copyFile(source, draft)
  const handle = await open(draft, 'r+')
  await handle.sync().finally(() => handle.close())
  await rename(draft, file)
  await syncFolder(dirname(file))
  await adopted(file)
  return `${source} is the database in ${dirname(file)} now` +
    (aside.length > 0 ? `; the one before is in ${aside.join(' and ')}` : '')
}

/** Takes the database that is there for the one to go on with, whatever its marker says. */
export async function adoptDatabase (settings: Settings): Promise<string> {
  const file = existing(settings)
  await adopted(file)
  return `${file} is the database to go on with now`
}

function fileOf ({ DATA_DIR, MONGO_URI, CLOUD_MONGO_URL }: Settings): string {
  if (MONGO_URI === '' && CLOUD_MONGO_URL === '') return databaseIn(DATA_DIR)
  throw new ConfigError('The data is in MongoDB, which has tools of its own: see mongodump and mongorestore')
}

function existing (settings: Settings): string {
  const file = fileOf(settings)
  if (existsSync(file)) return file
  throw new ConfigError(`There is no database ${file}: DATA_DIR says where it is`)
}

async function adopted (file: string): Promise<void> {
  const connection = await openConnection({ file, adopt: true })
  await connection.close()
}

/** Renames the database and what lies beside it. Throws while a server has it open. */
async function putAside (file: string): Promise<string[]> {
  if (!existsSync(file)) return []
  const connection = await openConnection({ file, adopt: true })
  await connection.close()
  const suffix = `.before-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
  const there = [file, logOf(file), markerOf(file)].filter(each => existsSync(each))
  for (const each of there) await rename(each, each + suffix)
  return there.filter(each => each !== markerOf(file)).map(each => each + suffix)
}

/** Throws for a file that is no database of ours, or a damaged one. */
function checkPages (file: string): void {
  try {
    inspect(resolve(file), db => {
      const damage = damageIn(db)
      if (damage !== undefined) throw new Error(damage)
      if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'jobs'").get()) throw new Error('it has no jobs')
    })
  } catch (err) {
    throw new ConfigError(`${file} is no database that can be used: ${(err as Error).message}`)
  }
}

const megabytes = (file: string) => Math.ceil(statSync(file).size / 1e6)
