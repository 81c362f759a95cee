/**
 * A viewer that knows nothing of the portal: Cornerstone's own DICOMweb loader, as others ship it, and the DICOMweb client of the
 * same field. tests/viewer/test_other_viewer.py opens a study of the portal with it. It is no part of the product.
 */

import { Enums, RenderingEngine, init as initCore, type StackViewport } from "@cornerstonejs/core";
import { init as initLoader, wadors } from "@cornerstonejs/dicom-image-loader";
import { api } from "dicomweb-client";

type Attributes = Record<string, { Value?: unknown[] }>;

interface Opened {
  studies: number;
  series: number;
  instances: number;
  rows: unknown;
}

const STUDY = "0020000D";
const SERIES = "0020000E";
const INSTANCE = "00080018";
const ROWS = "00280010";

declare global {
  interface Window {
    openStudy: (root: string, token: string, accession: string) => Promise<Opened>;
  }
}

window.openStudy = async (root, token, accession) => {
  const Authorization = `Token ${token}`;
  initCore();
  initLoader({ beforeSend: () => ({ Authorization }), maxWebWorkers: 1 } as Parameters<typeof initLoader>[0]);
  // Its declared types ask for more than its own documentation does.
  type Options = ConstructorParameters<typeof api.DICOMwebClient>[0];
  const client = new api.DICOMwebClient({ url: root, headers: { Authorization } } as Options);
  const studies = (await client.searchForStudies({ queryParams: { AccessionNumber: accession } })) as Attributes[];
  const study = text(studies[0]!, STUDY);
  const series = (await client.searchForSeries({ studyInstanceUID: study })) as Attributes[];
  const first = text(series[0]!, SERIES);
  const wanted = { studyInstanceUID: study, seriesInstanceUID: first };
  type Wanted = Parameters<typeof client.retrieveSeriesMetadata>[0];
  const instances = (await client.retrieveSeriesMetadata(wanted as Wanted)) as Attributes[];
  const imageIds = instances.map((instance) => {
    const imageId = `wadors:${root}/studies/${study}/series/${first}/instances/${text(instance, INSTANCE)}/frames/1`;
    wadors.metaDataManager.add(imageId, instance as never);
    return imageId;
  });
  const element = document.querySelector<HTMLDivElement>("#pane")!;
  const engine = new RenderingEngine("other");
  engine.enableElement({ viewportId: "pane", type: Enums.ViewportType.STACK, element });
  const painted = new Promise((resolve) => element.addEventListener(Enums.Events.IMAGE_RENDERED, resolve, { once: true }));
  const viewport = engine.getViewport("pane") as StackViewport;
  await viewport.setStack(imageIds);
  viewport.render();
  await painted;
  return { studies: studies.length, series: series.length, instances: instances.length, rows: instances[0]![ROWS]?.Value?.[0] };
};

function text(attributes: Attributes, tag: string): string {
  return String(attributes[tag]?.Value?.[0]);
}
