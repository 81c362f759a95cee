/** One image in one frame of the page, drawn by Cornerstone: on the graphics card, or without one. */

import {
  Enums,
  RenderingEngine,
  type StackViewport,
  cache,
  getRenderingCapabilities,
  getShouldUseCPURendering,
  imageLoader,
  init,
  metaData,
  utilities,
  type Types,
} from "@cornerstonejs/core";

import type { LoadedImage } from "./frames";
import { fitScale, fitted, toScreen, type Affine, type Placement, type Shape, type Size } from "./geometry";
import type { Window } from "./told";
import { firstWindow, toRange, type Range } from "./windows";

const SCHEME = "portal";
const images = new Map<string, LoadedImage>();
let engine: RenderingEngine | undefined;

function theEngine(): RenderingEngine {
  if (engine) return engine;
  const { webgl, softwareRasterizer } = getRenderingCapabilities();
  // A processor that plays graphics card is slower than Cornerstone's own way without one.
  const isSlow = !webgl || softwareRasterizer;
  // For a machine whose graphics card draws wrongly: ?draw=cpu.
  const wanted = new URLSearchParams(location.search).get("draw");
  const useCPURendering = wanted === "cpu" || (isSlow && wanted !== "gpu");
  init({ rendering: { useCPURendering, webGlContextCount: 1 } } as Parameters<typeof init>[0]);
  imageLoader.registerImageLoader(SCHEME, ((imageId: string) => ({
    promise: Promise.resolve(imageOf(imageId)),
  })) as unknown as Types.ImageLoaderFn);
  metaData.addProvider(metadataOf, 10_000);
  engine = new RenderingEngine("viewer");
  return engine;
}

function imageOf(imageId: string): Types.IImage {
  const { viewing, decoded } = images.get(imageId)!;
  const { rows, columns } = viewing;
  const { values, min, max } = decoded;
  // As it will be asked for, so that nothing is drawn twice.
  const range = toRange(firstWindow(viewing, decoded), viewing, false);
  const aspect = aspectOf(viewing.spacing);
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    scalarData: values,
    width: columns,
    height: rows,
    numberOfComponents: 1,
  });
  return {
    imageId,
    minPixelValue: min,
    maxPixelValue: max,
    slope: 1,
    intercept: 0,
    windowCenter: (range.low + range.high + 1) / 2,
    windowWidth: range.high - range.low + 1,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
    getPixelData: () => values,
    getCanvas: undefined as never,
    rows,
    columns,
    height: rows,
    width: columns,
    color: false,
    rgba: false,
    numberOfComponents: 1,
    columnPixelSpacing: 1,
    rowPixelSpacing: aspect,
    sliceThickness: 1,
    invert: range.inverse,
    sizeInBytes: values.byteLength,
    dataType: values.constructor.name as Types.IImage["dataType"],
    voxelManager: voxelManager as Types.IImage["voxelManager"],
  } as Types.IImage;
}

/** The picture's polarity, rescale and window are told to Cornerstone as a range: here it is a plain grey image. */
function metadataOf(type: string, imageId: string): unknown {
  const image = typeof imageId === "string" ? images.get(imageId) : undefined;
  if (!image) return undefined;
  const { rows, columns, spacing } = image.viewing;
  const { values } = image.decoded;
  switch (type) {
    case "imagePixelModule":
      return {
        samplesPerPixel: 1,
        photometricInterpretation: "MONOCHROME2",
        rows,
        columns,
        bitsAllocated: 8 * values.BYTES_PER_ELEMENT,
        bitsStored: 8 * values.BYTES_PER_ELEMENT,
        highBit: 8 * values.BYTES_PER_ELEMENT - 1,
        pixelRepresentation: values instanceof Int16Array ? 1 : 0,
      };
    case "imagePlaneModule":
      return {
        frameOfReferenceUID: imageId,
        rows,
        columns,
        imageOrientationPatient: [1, 0, 0, 0, 1, 0],
        rowCosines: [1, 0, 0],
        columnCosines: [0, 1, 0],
        imagePositionPatient: [0, 0, 0],
        sliceThickness: 1,
        rowPixelSpacing: aspectOf(spacing),
        columnPixelSpacing: 1,
      };
    case "generalSeriesModule":
      return { modality: "DX", seriesInstanceUID: imageId };
    case "voiLutModule":
      return { windowCenter: [], windowWidth: [], voiLUTFunction: "LINEAR" };
    default:
      return undefined;
  }
}

function aspectOf(spacing: LoadedImage["viewing"]["spacing"]): number {
  return spacing ? spacing.betweenRows / spacing.betweenColumns : 1;
}

/** What a reader can change about how one image is shown. */
export interface Look {
  placement: Placement;
  window: Window;
  isInverted: boolean;
}

export class Pane {
  readonly element: HTMLElement;
  image: LoadedImage | undefined;
  /** What was asked for last; until its image is there, another may still be on screen. */
  wanted = "";
  look: Look | undefined;
  private readonly viewportId: string;
  private queued = 0;
  private readonly watch: ResizeObserver;
  private onShown: (() => void) | undefined;

  constructor(
    readonly frame: HTMLElement,
    private readonly changed: (pane: Pane) => void,
  ) {
    this.element = frame.querySelector("[data-canvas]")!;
    this.viewportId = `pane-${frame.dataset["pane"] ?? ""}`;
    this.element.hidden = false;
    frame.dataset["drawnBy"] = (theEngine(), getShouldUseCPURendering()) ? "cpu" : "gpu";
    theEngine().enableElement({
      viewportId: this.viewportId,
      type: Enums.ViewportType.STACK,
      element: this.element as HTMLDivElement,
      defaultOptions: { background: [0, 0, 0] },
    });
    this.element.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.rendered());
    this.watch = new ResizeObserver(() => this.resized());
    this.watch.observe(this.element);
  }

  destroy(): void {
    this.watch.disconnect();
    engine?.disableElement(this.viewportId);
  }

  get isDrawnWithoutGraphicsCard(): boolean {
    return getShouldUseCPURendering();
  }

  get shape(): Shape {
    const { columns, rows, spacing } = this.image!.viewing;
    return { columns, rows, aspect: aspectOf(spacing) };
  }

  get size(): Size {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  get firstWindow(): Window {
    return firstWindow(this.image!.viewing, this.image!.decoded);
  }

  get range(): Range {
    return toRange(this.look!.window, this.image!.viewing, this.look!.isInverted);
  }

  /** Whether higher units are brighter, as it is on screen. */
  get risesToWhite(): boolean {
    return this.image!.viewing.inverse === this.look!.isInverted;
  }

  get toScreen(): Affine {
    return toScreen(this.shape, this.look!.placement, this.size);
  }

  /** Screen pixels for a column of the image. */
  get scale(): number {
    const { placement } = this.look!;
    return fitScale(this.shape, this.size, placement.turns) * placement.zoom;
  }

  /** Shows an image as its file says; resolves when it is painted. */
  async show(image: LoadedImage): Promise<void> {
    this.image = image;
    this.look = { placement: fitted(this.shape), window: firstWindow(image.viewing, image.decoded), isInverted: false };
    const imageId = `${SCHEME}:${image.entry.id}`;
    images.set(imageId, image);
    await this.viewport.setStack([imageId]);
    // Only what is drawn from here on has the window and the place of this image.
    const painted = new Promise<void>((resolve) => (this.onShown = resolve));
    // Cornerstone keeps what it draws; what the portal keeps is enough.
    cache.removeImageLoadObject(imageId, { force: true });
    for (const known of images.keys()) if (!this.isShownAnywhere(known)) images.delete(known);
    this.draw();
    await painted;
  }

  change(look: Partial<Look>): void {
    if (!this.look) return;
    this.look = { ...this.look, ...look };
    // However often a finger moves, the screen is drawn once for each of its own pictures.
    this.queued ||= requestAnimationFrame(() => this.draw());
  }

  private isShownAnywhere(imageId: string): boolean {
    return theEngine()
      .getViewports()
      .some((viewport) => (viewport as StackViewport).getImageIds().includes(imageId));
  }

  private get viewport(): StackViewport {
    return theEngine().getViewport(this.viewportId) as StackViewport;
  }

  private resized(): void {
    if (!this.size.width || !this.size.height) return;
    theEngine().resize(true, true);
    if (this.image && this.look) this.draw();
  }

  private draw(): void {
    cancelAnimationFrame(this.queued);
    this.queued = 0;
    if (!this.size.width || !this.size.height) return;
    const { viewport } = this;
    const { low, high, inverse } = this.range;
    viewport.setProperties({ voiRange: { lower: low, upper: high }, invert: inverse }, true);
    if (this.isDrawnWithoutGraphicsCard) this.placeWithoutGraphicsCard();
    else this.placeOnGraphicsCard();
    viewport.render();
  }

  private placeOnGraphicsCard(): void {
    const { turns, flippedLeftRight, flippedUpDown, center } = this.look!.placement;
    const flipX = flippedLeftRight ? -1 : 1;
    const flipY = flippedUpDown ? -1 : 1;
    const angle = (turns * Math.PI) / 2;
    const [cos, sin] = [Math.round(Math.cos(angle)), Math.round(Math.sin(angle))];
    // The directions of the screen in the image's own plane, and the one that looks at the reader.
    const right = [flipX * cos, -flipY * sin] as const;
    const up = [-flipX * sin, -flipY * cos] as const;
    const towards = right[0] * up[1] - right[1] * up[0];
    // The middle of the first pixel is the origin there.
    const focal: Types.Point3 = [center.x - 0.5, (center.y - 0.5) * this.shape.aspect, 0];
    this.viewport.setCamera({
      viewUp: [up[0], up[1], 0],
      viewPlaneNormal: [0, 0, towards],
      focalPoint: focal,
      position: [focal[0], focal[1], towards * 100],
      parallelScale: this.size.height / 2 / this.scale,
      parallelProjection: true,
    });
  }

  private placeWithoutGraphicsCard(): void {
    const { turns, flippedLeftRight, flippedUpDown, center } = this.look!.placement;
    const { viewport } = this;
    const { aspect } = this.shape;
    const canvas = viewport.getCanvas();
    const ratio = canvas.width / canvas.clientWidth;
    viewport.setViewPresentation({ rotation: 90 * turns });
    viewport.setCamera({
      flipHorizontal: flippedLeftRight,
      flipVertical: flippedUpDown,
      scale: this.scale * ratio * Math.min(1, aspect),
    });
    viewport.setCamera({ focalPoint: [center.x, center.y * aspect, 0] });
  }

  private rendered(): void {
    if (!this.image || !this.look) return;
    this.onShown?.();
    this.onShown = undefined;
    this.changed(this);
  }
}
