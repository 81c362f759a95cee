/** What was dropped or chosen: files, and whole folders with all that is in them. */

/** Left beside images by operating systems; nobody means to send them. */
const SYSTEM_FILES = new Set([".ds_store", "thumbs.db", "desktop.ini"]);

export interface Chosen {
  files: File[];
  /** How many files of the operating system were left out. */
  leftOut: number;
}

const ORDER = new Intl.Collator("en", { numeric: true });

/** The files of a folder in the order that people know: browsers give them in the disk's. */
export function withoutSystemFiles(files: File[]): Chosen {
  const kept = files.filter((file) => !SYSTEM_FILES.has(file.name.toLowerCase()) && !file.name.startsWith("._"));
  kept.sort((one, other) => ORDER.compare(one.webkitRelativePath || one.name, other.webkitRelativePath || other.name));
  return { files: kept, leftOut: files.length - kept.length };
}

/** The browser forgets the entries of a drop when its event is over: they are taken before the first wait. */
export async function droppedFiles(dropped: DataTransfer): Promise<File[]> {
  const taken = [...dropped.items]
    .filter((item) => item.kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files: File[] = [];
  for (const { entry, file } of taken) {
    if (entry?.isDirectory) files.push(...(await filesIn(entry as FileSystemDirectoryEntry)));
    else if (file) files.push(file);
  }
  return files;
}

async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  // A reader gives some entries at a time, and none when it has given all.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return files;
    for (const entry of entries) {
      if (entry.isDirectory) files.push(...(await filesIn(entry as FileSystemDirectoryEntry)));
      else files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}
