/**
 * Stands for dcmjs, which reads and writes DICOM files: Cornerstone brings it along with the whole dictionary, and here the server
 * reads them. What Cornerstone asks of it when it starts is its log and some names.
 */

interface Logger {
  trace: () => void;
  debug: () => void;
  info: () => void;
  warn: () => void;
  error: (...said: unknown[]) => void;
  setLevel: () => void;
  getLogger: () => Logger;
}

function logger(): Logger {
  const quiet = (): void => undefined;
  return {
    trace: quiet,
    debug: quiet,
    info: quiet,
    // It would miss each word of the dictionary.
    warn: quiet,
    error: (...said) => console.error(...said),
    setLevel: quiet,
    getLogger: logger,
  };
}

export const log = logger();

/** PS3.5 10. */
export const constants = {
  IMPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2",
  EXPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2.1",
  DEFLATED_EXPLICIT_LITTLE_ENDIAN: "1.2.840.10008.1.2.1.99",
  EXPLICIT_BIG_ENDIAN: "1.2.840.10008.1.2.2",
};

export default {
  log,
  constants,
  async: { AsyncDicomReader: class {} },
  data: { DicomMetaDictionary: { dictionary: {}, nameMap: {} } },
  utilities: { DicomMetadataListener: class {} },
};
